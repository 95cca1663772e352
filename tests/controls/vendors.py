"""docs/security.md, "What one vendor can do to the others": each control taken out."""

from __future__ import annotations

from tests.controls.taken_out import Change, TakenOut

DURABLE = "collector/build/durable/durable.go"
XRAY = "collector/build/durable/awsxray/factory.go"
GUARD = "collector/build/durable/guard.go"
ISOLATE = "collector/build/durable/isolate.go"
VERDICT = "tests/faults/harness/verdict.py"
HELD = "tests/faults/harness/held.py"

STOPS = (
    "a vendor that hangs does not keep the collector from stopping within ten seconds, nor do all "
    "that hang at once"
)
SET_ASIDE = "a span that X-Ray will never take is set aside, and the others of its batch are put"
REFUSED_ALONE = (
    "an item on which an exporter panics, or that a vendor fails on for ever, is refused alone; a "
    "vendor that is down refuses nothing"
)
CLOCK = "a vendor whose clock is an hour ahead gets its data: signatures are corrected"
JUDGED = (
    "who judges the cases of the fault suite sees a span, a data point or a log record lost, a "
    "copy at a healthy vendor, a counter that counts twice, a loss that nobody counts, an app that "
    "waits, a ledger that says nothing"
)

STOPPING = "collector/build/durable/stop_test.go"
PUT = (
    "collector/build/durable/awsxray/put_test.go"
    "::TestADocumentThatXRayDoesNotTakeIsNotPutAndTheOthersAre"
)
ON_A_PANIC = (
    "collector/build/durable/awsxray/put_test.go"
    "::TestASpanOnWhichTheTranslationPanicsIsRefusedAlone"
)
WHILE_DOWN = "collector/build/durable/isolate_test.go::TestAVendorThatIsDownForLongRefusesNothing"
A_CLOCK_AHEAD = (
    "tests/unit/emulators/test_faults.py"
    "::test_a_clock_that_is_ahead_refuses_signatures_until_they_are_corrected"
)

CLAUSES = (
    ("of requests that failed", "if sent.refused:", "a_request_of_the_app_that_failed"),
    ("of traffic", "if len(ids) <= FEWEST:", "no_traffic"),
    (
        "of an app that waits",
        "if sick > 1.1 * well + NOISE_SECONDS:",
        "an_app_that_waits_for_the_sick_vendor",
    ),
    ("of a healthy vendor's loss", "if has.missing:", "a_healthy_vendor_that_misses_one"),
    ("of a loss that is none", "if counted:", "a_loss_is_counted_that_is_none"),
    (
        "of a spoiled file",
        "if result.set_aside < result.spoiled:",
        "a_spoiled_queue_is_kept_and_costs_what_was_in_it",
    ),
    (
        "of the ledger",
        "if result.case.ails and (quiet := untroubled(result.case, result.during)):",
        "a_ledger_that_tells_nothing",
    ),
    ("of a trouble that nobody met", "if not result.met:", "a_trouble_that_nobody_met"),
)
"""Of the judge: what it is about, the condition, and the test of it."""


def judged(what: str, change: Change, test: str) -> TakenOut:
    return TakenOut(
        JUDGED,
        f"the clause {what}",
        (change,),
        (f"tests/unit/faults/test_verdict.py::test_{test}",),
    )


CASES: tuple[TakenOut, ...] = (
    TakenOut(
        STOPS,
        "that of an exporter's wait",
        (Change(DURABLE, "\tdefer time.AfterFunc(grace(), s.die).Stop()\n"),),
        (f"{STOPPING}::TestAVendorThatHangsIsNotWaitedForLonger",),
    ),
    TakenOut(
        STOPS,
        "the same, of the whole collector",
        (Change(DURABLE, "\tdefer time.AfterFunc(grace(), s.die).Stop()\n"),),
        ("tests/faults/test_stop.py::test_a_stop_while_vendors_hang[all]",),
    ),
    TakenOut(
        STOPS,
        "the time that all share",
        (Change(DURABLE, "left := patience - time.Since(stopping.since)", "left := patience"),),
        (f"{STOPPING}::TestTheTimeOfAStopIsSharedByAllWhoWait",),
    ),
    TakenOut(
        STOPS,
        "the last call",
        (Change(DURABLE, "max(0, min(atLeast, (lastCall-since)/2))", "atLeast"),),
        (f"{STOPPING}::TestHoweverManyHangTheEndComesInTime",),
    ),
    TakenOut(
        STOPS,
        "the moment for who comes late",
        (Change(DURABLE, "max(0, min(atLeast, (lastCall-since)/2))", "time.Duration(0)"),),
        (f"{STOPPING}::TestTheTimeOfAStopIsSharedByAllWhoWait",),
    ),
    TakenOut(
        SET_ASIDE,
        "the check of 64 KiB",
        (Change(XRAY, "len(document.Text) > maxDocument", "len(document.Text) < 0"),),
        (PUT,),
    ),
    TakenOut(
        SET_ASIDE,
        "a byte of it",
        (Change(XRAY, "len(document.Text) > maxDocument", "len(document.Text) >= maxDocument"),),
        (PUT,),
    ),
    TakenOut(
        REFUSED_ALONE,
        "the guard",
        (Change(GUARD, "said := recover()", "said := any(nil)"),),
        (ON_A_PANIC,),
    ),
    TakenOut(
        REFUSED_ALONE,
        "the trial of three items",
        (Change(ISOLATE, "if !passed {", "if false {"),),
        (WHILE_DOWN,),
    ),
    TakenOut(
        CLOCK,
        "the vendor's `Date`, from which the client learns",
        (
            Change(
                "emulators/core/vendor.py",
                "formatdate(time.time() + request[AHEAD], usegmt=True)",
                "formatdate(time.time(), usegmt=True)",
            ),
        ),
        ("tests/faults/test_table.py::test_nothing_is_lost[xray, clock, steady]",),
    ),
    TakenOut(
        CLOCK,
        "the emulator's wrong clock",
        (Change("emulators/aws/vendor.py", "request.get(AHEAD, 0.0)", "0.0"),),
        (A_CLOCK_AHEAD,),
    ),
    TakenOut(
        CLOCK,
        "its check of a signature's time",
        (
            Change(
                "emulators/aws/sigv4.py",
                "abs(now - when) > MAX_SKEW",
                "abs(now - when) < 0 * MAX_SKEW",
            ),
        ),
        (A_CLOCK_AHEAD,),
    ),
    *(judged(what, Change(VERDICT, old, "if False:"), test) for what, old, test in CLAUSES),
    judged(
        "of copies after a crash",
        Change(VERDICT, "has.copies > CRASH * has.wanted", "False"),
        "after_a_crash_what_was_on_its_way_may_be_there_twice_and_no_more",
    ),
    judged(
        "of a sick vendor's copies",
        Change(VERDICT, "has.copies > SICK_TWICE * has.wanted", "False"),
        "copies_at_the_sick_vendor",
    ),
    judged(
        "of a counter that counts twice",
        Change(VERDICT, "result.sick(key) and key != ADDED_UP", "result.sick(key)"),
        "a_counter_that_counts_more_than_was_sent",
    ),
    judged(
        "of a counter that counts less",
        Change(HELD, "counts.get(key, 0) < 1", "key not in counts"),
        "a_counter_that_grew_by_less_than_was_sent",
    ),
    judged(
        "of copies at a healthy vendor",
        Change(VERDICT, "not has.twice <= result.sent.unsure", "False"),
        "a_healthy_vendor_with_one_copy",
    ),
    judged(
        "of a loss that is counted wrong",
        Change(VERDICT, "not len(has.missing) == counted > 0", "False"),
        "one_more_is_missing_than_is_counted",
    ),
    judged(
        "of a loss that nobody counts",
        Change(VERDICT, "has.missing - result.accounted(key)", "frozenset[str]()"),
        "the_sick_vendor_misses_one",
    ),
)
