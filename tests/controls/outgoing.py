"""docs/security.md, "What goes out": each control taken out."""

from __future__ import annotations

from tests.controls.taken_out import Change, TakenOut

CONFIG = "collector/otel-config.yaml"
PATTERNS = "collector/redaction.yaml"
MADE = "distro/src/otel_stack_distro/patterns.json"
OF_THE_SERVICES = "distro/src/otel_stack_distro/redaction.py"
SIGNALS = "collector/build/redaction/signals.go"
ADOT_FORM = "stack/collector_config/adot.py"

EVERY_PLACE = (
    "a secret in any place of a span, metric or log is masked before every exporter, file and queue"
)
EVERY_ROUTE = (
    "10,000 made-up secrets by every route, and none of them anywhere; what is no secret is kept"
)
PAST = (
    "what leaves the services and the page past the collector (Rollbar, watchtower, printed lines) "
    "is cleaned by the same patterns"
)
KNOWN = (
    "what gitleaks knows as a secret is masked: 98 % of the samples of its own tests, which are "
    "made from its sources each time"
)
BOUNDED = "a text is cut before it is cleaned, and what holds much is looked at so far"
ADOT = "on ADOT, which has no `redaction`, what is secret by its name is deleted"

CLEANING = "tests/unit/collector/test_cleaning.py"
BY_NAME = (
    f"{CLEANING}::test_what_is_secret_by_its_name_is_masked_whatever_it_holds_and_however_deep"
)
PLACES = "collector/build/redaction/cleaner_test.go"
OF_SERVICES = "distro/tests/test_redaction.py"
MUCH = "test_what_holds_much_is_looked_at_so_far_and_what_is_left_out_is_said"
AN_ITEM = (
    f"{OF_SERVICES}::test_an_item_for_rollbar_holds_no_secret_but_the_key_that_it_is_sent_with"
)
THE_SAME = f"{OF_SERVICES}::test_the_services_and_the_page_clean_by_the_collectors_patterns"
GITLEAKS = "tests/security/test_gitleaks.py"
CANARY = "tests/security/test_canary.py::test_no_secret_is_anywhere_and_what_is_none_is_kept"
ADOT_TEST = (
    "tests/unit/collector/test_config.py"
    "::test_the_adot_form_still_takes_out_what_is_secret_by_its_name"
)

METRICS_IN, LOGS_IN = (
    f"    {signal}:\n      receivers: [otlp]\n      processors: " for signal in ("metrics", "logs")
)

# Of Honeycomb's keys: short, and one example needs it.
A_PATTERN = "hc[a-z]{2,3}_[a-z0-9]{32,}"
EXAMPLE = '    ["the PIN is 1234, bob", "the PIN is ****, bob"],\n'
CARDS = "(?:^|%[0-9A-F]{2}|[^0-9A-Za-z.])(?P<card>"
NO_CARDS = "(?:never)(?P<card>"

CASES: tuple[TakenOut, ...] = (
    TakenOut(
        EVERY_PLACE,
        "`redaction` in the pipeline of traces",
        (Change(CONFIG, "[memory_limiter, transform, redaction]", "[memory_limiter, transform]"),),
        (f"{CLEANING}::test_a_secret_is_found_in_every_place_of_a_span",),
    ),
    TakenOut(
        EVERY_PLACE,
        "of metrics",
        (
            Change(
                CONFIG,
                f"{METRICS_IN}[memory_limiter, redaction]",
                f"{METRICS_IN}[memory_limiter]",
            ),
        ),
        (f"{CLEANING}::test_a_metric_and_its_exemplars_are_cleaned",),
    ),
    TakenOut(
        EVERY_PLACE,
        "of a pipeline past it",
        (
            Change(
                CONFIG,
                "metrics/cloudwatch:\n      receivers: [forward/clean]",
                "metrics/cloudwatch:\n      receivers: [otlp]",
            ),
        ),
        (f"{CLEANING}::test_whatever_the_app_sends_is_cleaned_before_anything_else_has_it",),
    ),
    TakenOut(
        EVERY_PLACE,
        "of logs",
        (
            Change(
                CONFIG,
                f"{LOGS_IN}[memory_limiter, redaction]",
                f"{LOGS_IN}[memory_limiter]",
            ),
        ),
        (f"{CLEANING}::test_the_corpus_leaves_as_it_is_written_down",),
    ),
    TakenOut(
        EVERY_PLACE,
        "the look at a link's tracestate",
        (Change(SIGNALS, "\t\tc.in(link.TraceState().AsRaw(), link.TraceState().FromRaw)\n"),),
        (f"{PLACES}::TestNoPlaceOfATraceIsForgotten",),
    ),
    TakenOut(
        EVERY_PLACE,
        "at exemplars",
        (Change(SIGNALS, "c.attributes(exemplar.FilteredAttributes())", "_ = exemplar"),),
        (f"{PLACES}::TestNoPlaceOfAMetricIsForgotten",),
    ),
    TakenOut(
        EVERY_PLACE,
        "at a log's severity",
        (Change(SIGNALS, "\t\t\t\tc.in(record.SeverityText(), record.SetSeverityText)\n"),),
        (f"{PLACES}::TestNoPlaceOfALogIsForgotten",),
    ),
    TakenOut(
        EVERY_PLACE,
        "a pattern of names",
        (Change(PATTERNS, "      - (?i)^http\\.(request|response)\\.header\\..*key$$\n"),),
        (BY_NAME,),
    ),
    TakenOut(
        EVERY_ROUTE,
        "the cleaning of Rollbar's items",
        (Change("distro/src/otel_stack_distro/rollbar.py", '"data": clean(data)', '"data": data'),),
        (CANARY,),
        alone=True,
    ),
    TakenOut(
        EVERY_ROUTE,
        "of printed tracebacks",
        (
            Change(
                "distro/src/otel_stack_distro/json_logging.py",
                "cleaned(self.formatException(record.exc_info))",
                "self.formatException(record.exc_info)",
            ),
        ),
        (CANARY,),
        alone=True,
    ),
    TakenOut(
        EVERY_ROUTE,
        "the pattern of cards in the collector",
        (Change(PATTERNS, CARDS, NO_CARDS),),
        (CANARY,),
        alone=True,
    ),
    TakenOut(
        EVERY_ROUTE,
        "in the services",
        (Change(MADE, CARDS, NO_CARDS),),
        (CANARY,),
        alone=True,
    ),
    TakenOut(
        PAST,
        "a pattern on both sides",
        (
            Change(PATTERNS, f"      - {A_PATTERN} # Honeycomb\n"),
            Change(MADE, f'"{A_PATTERN}",\n'),
        ),
        (f"{OF_SERVICES}::test_a_secret_is_masked",),
    ),
    TakenOut(
        PAST,
        "the one example that needs a pattern",
        (Change("tests/corpus/secrets.json", EXAMPLE),),
        (f"{OF_SERVICES}::test_without_any_one_pattern_an_example_gets_through",),
    ),
    TakenOut(
        PAST,
        "a letter of one pattern on one side",
        (Change(PATTERNS, A_PATTERN, A_PATTERN.replace("a-z", "a-y", 1)),),
        (THE_SAME,),
    ),
    TakenOut(
        PAST,
        "in the page",
        (
            Change(
                "services/frontend/src/telemetry/patterns.json",
                A_PATTERN,
                A_PATTERN.replace("a-z", "a-y", 1),
            ),
        ),
        (THE_SAME,),
    ),
    TakenOut(
        PAST,
        "the cleaning of Rollbar's items",
        (Change("distro/src/otel_stack_distro/rollbar.py", '"data": clean(data)', '"data": data'),),
        (AN_ITEM,),
    ),
    TakenOut(
        PAST,
        "of printed lines",
        (
            Change(
                "distro/src/otel_stack_distro/json_logging.py",
                '"message": clean_text(_message(record))',
                '"message": _message(record)',
            ),
        ),
        (f"{OF_SERVICES}::test_a_printed_line_holds_no_secret",),
    ),
    TakenOut(
        KNOWN,
        "its rules in the collector",
        (
            Change(
                "collector/build/redaction/cleaner.go",
                "slices.Concat(config.BlockedValues, known)",
                "slices.Concat(config.BlockedValues, known[:0])",
            ),
        ),
        (f"{GITLEAKS}::test_a_token_is_masked_without_a_name_beside_it",),
    ),
    TakenOut(
        KNOWN,
        "in the services",
        (Change(OF_THE_SERVICES, "*_rules_for(text, lowered)", "*()"),),
        (f"{GITLEAKS}::test_the_services_mask_the_same",),
    ),
    TakenOut(
        KNOWN,
        "a letter of one",
        (Change("collector/build/redaction/gitleaks.json", r"ntn_\\d{11}", r"ntn_\\d{12}"),),
        (f"{GITLEAKS}::test_the_rules_are_those_of_the_pinned_version",),
    ),
    TakenOut(
        KNOWN,
        "the names of functions' arguments",
        (
            Change(PATTERNS, r'- "(?i)\\w\\((?:', r'- "(?i)never\\w\\((?:'),
            Change(MADE, r'"(?i)\\w\\((?:', r'"(?i)never\\w\\((?:'),
        ),
        (f"{OF_SERVICES}::test_a_secret_is_masked",),
    ),
    TakenOut(
        BOUNDED,
        "the cut of a service",
        (Change(OF_THE_SERVICES, "    if end > LONGEST:\n", "    if end > 100 * LONGEST:\n"),),
        (f"{OF_SERVICES}::test_what_is_cut_says_so_and_is_as_long_as_the_collector_keeps",),
    ),
    TakenOut(
        BOUNDED,
        "the look beyond it",
        (Change(OF_THE_SERVICES, "text[: LONGEST + _LONGEST_SECRET]\n", "text[:LONGEST]\n"),),
        (f"{OF_SERVICES}::test_a_secret_is_masked_wherever_the_line_is_cut",),
    ),
    TakenOut(
        BOUNDED,
        "the count of values",
        (
            Change(
                OF_THE_SERVICES, "self.values >= 0 and self.characters >= 0", "self.characters >= 0"
            ),
        ),
        (f"{OF_SERVICES}::{MUCH}[numbers]",),
    ),
    TakenOut(
        BOUNDED,
        "the end of what the receiver cut",
        (
            Change(
                "collector/build/redaction/matcher.go",
                "span{len(text) - lastOfCut, len(text)}",
                "span{len(text), len(text)}",
            ),
        ),
        (f"{PLACES}::TestASecretThatTheReceiverCutIsMasked",),
    ),
    TakenOut(
        ADOT,
        "what stands for `redaction` there",
        (Change(ADOT_FORM, "    _delete_by_name(form)\n"),),
        (ADOT_TEST,),
    ),
    TakenOut(
        ADOT,
        "its place in the pipelines",
        (Change(ADOT_FORM, "for both in (name, stands_for.get(name))", "for both in (name,)"),),
        (ADOT_TEST,),
    ),
)
