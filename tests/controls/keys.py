"""docs/security.md, "Keys": each control taken out."""

from __future__ import annotations

from tests.controls.taken_out import Change, TakenOut

PRINTED = (
    "no command prints a key: 20 commands with 14 fresh keys, all vendors refusing and repeating "
    "them"
)
REPEATED = "a vendor that repeats a key in its answer does not get it into the collector's log"
OVER_GRPC = "over gRPC too: in a refusal, in its details, in what it takes in part"
ERROR = "an error that repeats a key is shown without it"
FINDING = "so is a finding of `doctor`"
COMMAND_LINE = "no command line of any process holds a key"
PAGES = "neither zpages nor the collector's metrics show one"
PRIVATE = "files that hold keys are their owner's alone, from their first byte"
DOWN = "`make down` leaves no key behind but those of the user"
CORE = "no core files: they hold the environment"
LAST_WORDS = (
    "what a service prints past its log (an error that nobody caught, in a thread too, gunicorn's "
    "when a worker cannot start) holds neither what looks like a key nor a key of its environment"
)
MISPLACED = "a key in the place of another setting is refused, and not shown"
LINE = "nor where a line is expected, nor a malformed one"
WARNED = "`doctor` warns of `.env` and key files that others may read"
GIT = "no key in git; `.env` and `.run` ignored; no image is made of a folder that has them"
IMAGE = (
    "an image that was made beside keys, in `.env` and in the environment, holds none: in no "
    "layer, not in its history or configuration; nor does the build's log"
)
PROXY = "a proxy's password is in no argument of a build"
DOCTORS_REDIRECT = "a key is not carried to another host by a redirect: not by `doctor`"
COLLECTORS_REDIRECT = (
    "nor by the collector, which takes neither a redirect nor a page for a delivery"
)

SECRETS = "tests/security/test_secrets.py"
IN_ERRORS = "tests/security/test_secrets_in_errors.py"
IMAGES = "tests/security/test_images.py"
REPOSITORY = "tests/security/test_repository.py"
IMAGES_UNIT = "tests/unit/docker/test_images.py"
COMPOSE_FILE = "tests/unit/docker/test_compose_file.py"
WORDS = "distro/tests/test_crash_output.py"
CHOSEN = "tests/unit/doctor/test_chosen.py"
ANSWERS = (
    "tests/unit/collector/test_answers.py"
    "::test_who_is_not_the_vendor_gets_no_key_and_is_no_delivery"
)
DOWN_IN_DOCKER = "tests/unit/docker/test_docker_runtime.py::test_down_leaves_no_key_behind"
NOT_CARRIED = (
    "tests/unit/doctor/test_honeycomb_and_rollbar.py::test_a_key_is_not_carried_to_another_host"
)
NOT_HALVED = (
    "tests/unit/doctor/test_honeycomb_and_rollbar.py"
    "::test_no_part_of_a_key_is_left_where_a_long_answer_is_cut"
)
IN_GO = "collector/build/durable/answer_test.go::TestAKeyThatAVendorRepeatsIsHidden"
GRPC_IN_GO = "collector/build/durable/otlpgrpc/factory_test.go"
OF_TRACES = f"{GRPC_IN_GO}::TestAKeyThatAVendorRepeatsOverGRPCIsHidden"
OF_OTHERS = f"{GRPC_IN_GO}::TestSoItIsForMetricsAndLogs"

ANSWER = "collector/build/durable/answer.go"
ANSWER_GRPC = "collector/build/durable/answer_grpc.go"
SERVING = "distro/src/otel_stack_distro"
COMPOSE = "compose/compose.yaml"
BUILDS = "stack/images.py"
DOCKERFILE = "services/Dockerfile"

HIDE_KEYS = Change(ANSWER, "\thideKeys(body, request.Header)\n")
LIMIT = Change(
    "stack/cli.py",
    "    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n",
    "",
)
LIMITS_OF_CONTAINERS = Change(COMPOSE, "  ulimits: {core: 0}\n")
# Whoever makes the images has it in the environment.
PASSED_ON = Change(COMPOSE, "  HTTP_PROXY:\n", "  HTTP_PROXY:\n  HONEYCOMB_API_KEY:\n")
PRODUCTION = "FROM runtime AS production\n"
TAKEN = f"{PRODUCTION}ARG HONEYCOMB_API_KEY\n"

CASES: tuple[TakenOut, ...] = (
    TakenOut(
        PRINTED,
        "hiding of keys in vendors' answers by the collector, whose log `logs` prints",
        (HIDE_KEYS,),
        (f"{SECRETS}::test_no_command_prints_a_key[logs --lines=100000]",),
    ),
    TakenOut(
        PRINTED,
        "by `status` too",
        (HIDE_KEYS, Change("stack/commands/status.py", "hide.text(said)", "said")),
        (
            f"{SECRETS}::test_no_command_prints_a_key[status]",
            f"{SECRETS}::test_no_command_prints_a_key[status --json]",
        ),
    ),
    TakenOut(
        REPEATED,
        "`hideKeys` of answers over HTTP",
        (HIDE_KEYS,),
        (IN_GO,),
    ),
    TakenOut(
        REPEATED,
        "the same, where it is seen in the files of a stack",
        (HIDE_KEYS,),
        (f"{SECRETS}::test_only_files_that_nobody_else_may_read_hold_keys",),
    ),
    TakenOut(
        OVER_GRPC,
        "hiding in the refusal's text",
        (Change(ANSWER_GRPC, "\thideKeys(message, sent)\n"),),
        (OF_TRACES, OF_OTHERS),
    ),
    TakenOut(
        OVER_GRPC,
        "in its details",
        (Change(ANSWER_GRPC, "\t\thideKeys(detail.Value, sent)\n", "\t\t_ = detail\n"),),
        (OF_TRACES,),
    ),
    TakenOut(
        OVER_GRPC,
        "in what is said of what was taken in part",
        (Change(ANSWER_GRPC, "\thideKeys(answer, d.sent)\n"),),
        (OF_TRACES,),
    ),
    TakenOut(
        ERROR,
        "the redactor",
        (Change("stack/entry.py", "redactor(ROOT, os.environ).text(str(error))", "str(error)"),),
        (f"{IN_ERRORS}::test_an_error_that_repeats_a_key",),
    ),
    TakenOut(
        FINDING,
        "the redactor",
        (
            Change(
                "stack/commands/doctor.py",
                "[hide.finding(finding) for finding in findings]",
                "findings",
            ),
        ),
        (f"{IN_ERRORS}::test_a_finding_that_repeats_a_key",),
    ),
    TakenOut(
        FINDING,
        "the cut of a long answer between words",
        (
            Change(
                "stack/errors.py",
                "    return textwrap.shorten(\n",
                "    return text[:length]\n    return textwrap.shorten(\n",
            ),
        ),
        (NOT_HALVED,),
    ),
    TakenOut(
        COMMAND_LINE,
        "a key given as an argument",
        (
            Change(
                COMPOSE,
                '"cruddur:create_app()"]',
                '"cruddur:create_app()", --name, "${ROLLBAR_ACCESS_TOKEN:-none}"]',
            ),
        ),
        (f"{SECRETS}::test_no_command_line_holds_a_key",),
    ),
    TakenOut(
        COMMAND_LINE,
        "the token given to gunicorn as one",
        (
            Change(
                "stack/services/processes.py",
                "        argv=tuple(argv),\n",
                '        argv=(*argv, "--name", environment["OTEL_EXPORTER_OTLP_HEADERS"])\n'
                '        if "OTEL_EXPORTER_OTLP_HEADERS" in environment\n'
                "        else tuple(argv),\n",
            ),
        ),
        ("tests/security/test_access_end_to_end.py::test_the_token_is_on_no_command_line",),
    ),
    TakenOut(
        PAGES,
        "a key as a label of the metrics",
        (
            Change(
                "collector/otel-config.yaml",
                "  telemetry:\n    metrics:\n",
                "  telemetry:\n    resource: {team: '${env:HONEYCOMB_API_KEY}'}\n    metrics:\n",
            ),
        ),
        (f"{SECRETS}::test_no_page_of_the_collector_holds_a_key",),
    ),
    TakenOut(
        PRIVATE,
        "the mode",
        (Change("stack/private_file.py", "MODE = 0o600", "MODE = 0o644"),),
        (
            f"{IN_ERRORS}::test_a_file_for_keys_is_private_before_they_are_in_it",
            f"{COMPOSE_FILE}::test_keys_are_only_for_the_caller_to_read",
        ),
    ),
    TakenOut(
        PRIVATE,
        "its place before what is written",
        (
            Change("stack/private_file.py", "        os.fchmod(descriptor, MODE)\n"),
            Change(
                "stack/private_file.py",
                "        file.write(text)\n",
                "        file.write(text)\n"
                "        file.flush()\n        os.fchmod(descriptor, MODE)\n",
            ),
        ),
        (f"{IN_ERRORS}::test_a_file_for_keys_is_private_before_they_are_in_it",),
    ),
    TakenOut(
        DOWN,
        "the removal of supervisor's file",
        (
            Change(
                "stack/runtimes/native.py",
                "    supervisor.config_file(plan).unlink(missing_ok=True)\n",
            ),
        ),
        (f"{SECRETS}::test_down_leaves_no_key_behind",),
    ),
    TakenOut(
        DOWN,
        "of the containers' variables",
        (Change("stack/runtimes/docker.py", "file.unlink()  # it holds keys", "pass"),),
        (DOWN_IN_DOCKER,),
    ),
    TakenOut(
        DOWN,
        "of their copies of the token",
        (Change("stack/runtimes/docker.py", "file.unlink()  # a copy", "pass  # a copy"),),
        (DOWN_IN_DOCKER,),
    ),
    TakenOut(CORE, "the limit", (LIMIT,), (f"{SECRETS}::test_no_process_leaves_a_core_file",)),
    TakenOut(
        CORE,
        "`ulimits` of the collector",
        (Change(COMPOSE, "{core: 0, nofile: 16384}", "{nofile: 16384}"),),
        (f"{COMPOSE_FILE}::test_every_service_is_hardened",),
    ),
    TakenOut(
        CORE,
        "both, for the containers: an engine that a command starts inherits its limit",
        (LIMIT, LIMITS_OF_CONTAINERS),
        (f"{IMAGES}::test_it_leaves_no_core_file",),
        runtime="docker",
    ),
    TakenOut(
        LAST_WORDS,
        "the cleaning in workers",
        (Change(f"{SERVING}/json_logging.py", "    clean_stderr()\n"),),
        (f"{WORDS}::test_of_the_process", f"{WORDS}::test_of_a_thread_and_one_that_ends_itself"),
    ),
    TakenOut(
        LAST_WORDS,
        "in the master",
        (Change(f"{SERVING}/gunicorn/settings.py", "    clean_stderr()\n"),),
        (f"{WORDS}::test_a_key_in_the_place_of_a_services_setting",),
    ),
    TakenOut(
        LAST_WORDS,
        "of the environment's keys",
        (
            Change(
                f"{SERVING}/crash_output.py", "text = text.replace(value, MASK)", "text = str(text)"
            ),
        ),
        (f"{WORDS}::test_of_the_process",),
    ),
    TakenOut(
        LAST_WORDS,
        "of what looks like one",
        (Change(f"{SERVING}/crash_output.py", "return clean_text(text)", "return text"),),
        (f"{WORDS}::test_of_the_process",),
    ),
    TakenOut(
        LAST_WORDS,
        "of a logged error",
        (
            Change(
                f"{SERVING}/json_logging.py",
                "cleaned(self.formatException(record.exc_info))",
                "self.formatException(record.exc_info)",
            ),
        ),
        (f"{WORDS}::test_of_a_worker_that_cannot_start",),
    ),
    TakenOut(
        MISPLACED,
        "the check",
        (
            Change(
                "stack/settings.py",
                "    check_misplaced(own | set(defaults), values, origins)\n",
            ),
        ),
        (f"{IN_ERRORS}::test_a_key_in_the_place_of_another_setting",),
    ),
    TakenOut(
        LINE,
        "showing the name as it is",
        (
            Change(
                "stack/env_file.py",
                "return name if like_a_name and len(name) <= LONGEST_NAME else quoted(name)",
                "return name",
            ),
        ),
        (f"{IN_ERRORS}::test_a_key_where_a_line_is_expected",),
    ),
    TakenOut(
        LINE,
        "the value in the error",
        (Change("stack/key_shapes.py", "{len(values[name])} characters)", "{values[name]})"),),
        (f"{IN_ERRORS}::test_a_malformed_key",),
    ),
    TakenOut(
        LINE,
        "the check of shapes",
        (Change("stack/settings.py", "    check_shapes(values, origins)\n"),),
        (f"{IN_ERRORS}::test_a_malformed_key",),
    ),
    TakenOut(
        WARNED,
        "the look at the mode",
        (
            Change(
                "stack/private_file.py", "return bool(path.stat().st_mode & 0o077)", "return False"
            ),
        ),
        (f"{CHOSEN}::test_keys_that_others_may_read_are_a_warning",),
    ),
    TakenOut(
        WARNED,
        "the fragments' keys",
        (
            Change(
                "stack/doctor/chosen.py",
                "live or any(map(SECRET_NAME.search, setup.settings.config_values))",
                "live",
            ),
        ),
        (f"{CHOSEN}::test_a_fragments_key_makes_the_env_file_a_secret",),
    ),
    TakenOut(
        GIT,
        "`.env` in `.gitignore`",
        (Change(".gitignore", ".env\n"),),
        (f"{REPOSITORY}::test_what_holds_keys_is_ignored_by_git",),
    ),
    TakenOut(
        GIT,
        "a key in a file",
        # In two parts: this file is in git.
        (Change("docs/key.txt", "", f"hcaik_{'a1' * 29}\n"),),
        (f"{REPOSITORY}::test_no_file_in_git_looks_like_it_holds_a_key",),
    ),
    TakenOut(
        GIT,
        "`.env` in an image's folder",
        (Change("services/.env", "", "NOTHING=here\n"),),
        (f"{REPOSITORY}::test_no_image_is_made_of_a_folder_that_holds_keys",),
    ),
    TakenOut(
        GIT,
        "a Dockerfile in the project's folder",
        (Change("Dockerfile", "", "FROM scratch\n"),),
        (f"{REPOSITORY}::test_no_image_is_made_of_a_folder_that_holds_keys",),
    ),
    TakenOut(
        GIT,
        "a key as an `ARG`",
        (Change(DOCKERFILE, PRODUCTION, TAKEN),),
        (f"{REPOSITORY}::test_no_image_is_made_of_a_folder_that_holds_keys",),
    ),
    TakenOut(
        IMAGE,
        "a key as an argument of the build",
        (PASSED_ON, Change(DOCKERFILE, PRODUCTION, f"{TAKEN}ENV TOLD=$HONEYCOMB_API_KEY\n")),
        (f"{IMAGES}::test_no_image_holds_a_key_of_whoever_made_it",),
        runtime="docker",
    ),
    TakenOut(
        IMAGE,
        "`.env` copied into a service's folder",
        (
            Change(
                BUILDS,
                "    log = plan.root / BUILD_LOG\n",
                "    log = plan.root / BUILD_LOG\n"
                '    told = (plan.root / ".env").read_bytes()\n'
                '    (plan.root / "services/backend/told").write_bytes(told)\n',
            ),
        ),
        (f"{IMAGES}::test_no_image_holds_a_key_of_whoever_made_it",),
        runtime="docker",
    ),
    TakenOut(
        IMAGE,
        "a build that prints the key",
        (PASSED_ON, Change(DOCKERFILE, PRODUCTION, f"{TAKEN}RUN echo ${{HONEYCOMB_API_KEY:-}}\n")),
        (f"{IMAGES}::test_no_log_of_a_build_holds_a_key",),
        runtime="docker",
    ),
    TakenOut(
        IMAGE,
        "`production` as the stage of a service's image",
        (Change(COMPOSE, "  target: production\n", "  target: development\n"),),
        (f"{IMAGES_UNIT}::test_each_image_is_the_stage_that_runs",),
    ),
    TakenOut(
        IMAGE,
        "of the page's",
        (Change(COMPOSE, "${PAGE_TARGET:-production}", "${PAGE_TARGET:-files}"),),
        (f"{IMAGES_UNIT}::test_each_image_is_the_stage_that_runs",),
    ),
    TakenOut(
        IMAGE,
        "`prebuilt`",
        (Change(BUILDS, '"COLLECTOR_TARGET": "prebuilt"', '"COLLECTOR_TARGET": "compile"'),),
        (f"{IMAGES_UNIT}::test_each_image_is_the_stage_that_runs",),
    ),
    TakenOut(
        PROXY,
        "passing it by name: by value in its place",
        (
            Change(
                BUILDS,
                '                "build",\n',
                '                "build",\n'
                "                f\"--build-arg=HTTPS_PROXY={os.environ.get('HTTPS_PROXY')}\",\n",
            ),
        ),
        (f"{IMAGES_UNIT}::test_a_proxy_is_passed_on_without_its_password_in_the_arguments",),
    ),
    TakenOut(
        DOCTORS_REDIRECT,
        "`allow_redirects=False`",
        (Change("stack/asking.py", "allow_redirects=False", "allow_redirects=True"),),
        (NOT_CARRIED,),
    ),
    TakenOut(
        COLLECTORS_REDIRECT,
        "the check of a redirect",
        (Change(ANSWER, "response.StatusCode/100 == 3", "response.StatusCode/100 == 9"),),
        (f"{ANSWERS}[301]",),
    ),
    TakenOut(
        COLLECTORS_REDIRECT,
        "of a page",
        (Change(ANSWER, 'kind == "text/html"', 'kind == "text/none"'),),
        (f"{ANSWERS}[200]",),
    ),
)
