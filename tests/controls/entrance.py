"""docs/security.md, "Who may come in": each control taken out."""

from __future__ import annotations

from tests.controls.taken_out import Change, TakenOut

SENDERS = (
    "only who has a certificate of our authority sends OTLP (`OTLP_ACCESS=mtls`), only who has a "
    "token (`token`), over HTTP and gRPC"
)
CLEAR = "nothing in clear on a port of TLS, no TLS before 1.2"
NEW_TOKEN = "a token is changed without a gap or a restart"
FILES = (
    "keys and certificates that others can read, do not fit, are expired or of another name: one "
    "line before anything starts"
)
ADOT = "ADOT, which has no authenticator, is not run without one that was asked for"
LISTENERS = (
    "every listening socket is on 127.0.0.1: collector, services, page, emulators, supervisor, the "
    "engine that was started here"
)
OPENING = "opening takes two words, opens OTLP alone, and `doctor` says so"
SIGNING = (
    "the collector signs X-Ray's two questions about sampling with AWS's key, and nothing else "
    "(our build; contrib's signs all)"
)
PAGES_SPANS = (
    "the page's server sends on spans alone, of its own origin, up to 1 MiB, two at a time"
)
API = (
    "in a cloud workspace it asks the backend, and Rollbar's items, for the page: at fixed "
    "addresses, of its own origins, without cookies"
)
HEADERS = "browsers frame, sniff and run nothing foreign"
PUBLISHED = "containers publish on 127.0.0.1 alone"
BROWSERS = "browsers: only the page may send to the collector"
BACKEND = "and only the page may read the backend"
EMULATORS = "no page, and no rebound name, reaches the emulators or their control port"
CONTAINERS = (
    "containers: no root, nothing to write, no capability, no new privileges, bounded memory, "
    "processes and logs; read from the kernel too"
)
IMAGES = (
    "what runs in a container finds no shell in the collector's image, and no pip, nothing to make "
    "it from and no caches in any"
)

TOKENS, CERTIFICATES, TLS = (f"collector/access/{name}.yaml" for name in ("token", "mtls", "tls"))
CONFIG = "collector/otel-config.yaml"
ACCESS = "stack/access.py"
FORWARD, PAGE = (f"services/frontend/server/page/{name}.py" for name in ("forward", "__init__"))
GUARD = "emulators/core/guard.py"
COMPOSE = "compose/compose.yaml"
PROXY = "collector/build/awsproxy/factory.go"

NOTHING_SPECIAL = "include_metadata: false"
"""In the place of what guards a port of OTLP: a merge refuses an empty map."""

OTLP = "tests/security/test_access.py::"
GETS_IN = f"{OTLP}test_only_who_shows_what_is_asked_for_gets_in"
SECRETS = "tests/unit/stack/test_access.py::"
BEFORE_ALL = f"{SECRETS}test_nothing_starts_and_nothing_is_built_before_the_files_are_right"
NOBODY_OPENS = f"{SECRETS}test_nobody_opens_a_port_by_mistake"
RUNNING = "tests/security/test_listeners.py::"
AS_SHIPPED = f"{RUNNING}test_as_shipped_nothing_is_reached_from_another_machine"
TWO_WORDS = f"{RUNNING}test_two_words_open_otlp_and_nothing_else_and_doctor_says_so"
FORM = "tests/unit/collector/test_config.py::"
SERVING = "tests/unit/collector/test_serving.py::"
SIGNED = "tests/security/test_aws_signing.py::test_only_a_samplers_requests_are_signed"
NOT_SIGNED = "collector/build/awsproxy/factory_test.go::TestNothingElseIsSigned"
SERVER = "tests/security/test_page_server.py::"
NOT_THE_PAGES = f"{SERVER}test_what_is_not_the_pages_is_refused"
ASKED_FOR = f"{SERVER}test_the_backend_is_asked_for_nothing_that_is_not_the_pages"
TOLD = f"{SERVER}test_every_answer_tells_browsers_what_to_refuse[/config.js]"
NO_PAGE = "tests/unit/emulators/test_control.py::test_web_pages_are_not_answered"
OF_COMPOSE = "tests/unit/docker/test_compose_file.py::"
HARDENED = f"{OF_COMPOSE}test_every_service_is_hardened[profiles-flask]"
AS_BUILT = "tests/security/test_images.py::"
NOBODY = "test_it_runs_as_nobody_with_no_capability_and_can_gain_none"
NO_TOOLS = f"{AS_BUILT}test_nothing_to_install_or_compile_with_and_no_caches"


OF_PROFILES = """    mem_limit: 512m
    pids_limit: 100
    stop_grace_period: 15s
    # Only for the order"""
OF_THE_SERVER = """        tls: &encrypted
          cert_file: ${env:OTLP_SERVER_SECRETS}/tls.crt
          key_file: ${env:OTLP_SERVER_SECRETS}/tls.key
          reload_interval: 1h
"""
NO_CLIENT_CA = Change(
    CERTIFICATES,
    "          client_ca_file: ${env:OTLP_SERVER_SECRETS}/ca.crt\n"
    "          client_ca_file_reload: true\n",
)


def _header(name: str, value: str) -> TakenOut:
    return TakenOut(
        HEADERS,
        f"`{name}`",
        (Change(PAGE, f'            ("{name}", "{value}"),\n'),),
        (TOLD,),
    )


def _of_the_policy(name: str, value: str) -> TakenOut:
    change = Change(PAGE, f'        "{name}": "{value}",\n')
    return TakenOut(HEADERS, f"`{name}`", (change,), (TOLD,))


def _of_a_container(name: str, old: str, new: str = "") -> TakenOut:
    change = Change(COMPOSE, old, new)
    return TakenOut(CONTAINERS, f"`{name}`", (change,), (HARDENED,))


def _as_it_runs(what: str, lines: str, test: str) -> TakenOut:
    image = '    command: [opentelemetry-instrument, gunicorn, "profiles:create_app()"]\n'
    return TakenOut(
        CONTAINERS,
        f"as the kernel has it, {what}",
        (Change(COMPOSE, image, image + lines),),
        (f"{AS_BUILT}{test}[profiles-flask]",),
        runtime="docker",
    )


CASES: tuple[TakenOut, ...] = (
    TakenOut(
        SENDERS,
        "`client_ca_file`",
        (NO_CLIENT_CA,),
        (f"{GETS_IN}[mtls]",),
    ),
    TakenOut(
        SENDERS,
        "`auth` of HTTP",
        (Change(TOKENS, "auth: *by_token", NOTHING_SPECIAL),),
        (f"{GETS_IN}[token]",),
    ),
    TakenOut(
        SENDERS,
        "of gRPC",
        (
            Change(
                TOKENS,
                "auth: &by_token\n          authenticator: bearertokenauth/senders",
                NOTHING_SPECIAL,
            ),
            Change(TOKENS, "auth: *by_token", "auth: {authenticator: bearertokenauth/senders}"),
        ),
        (f"{GETS_IN}[token]",),
    ),
    TakenOut(
        SENDERS,
        "`client_ca_file` of a stack that is up",
        (NO_CLIENT_CA,),
        ("tests/security/test_access_end_to_end.py::test_strangers_get_nothing_to_any_vendor",),
    ),
    TakenOut(
        CLEAR,
        '`min_version: "1.0"` in its place',
        (Change(TLS, "tls: &encrypted\n", 'tls: &encrypted\n          min_version: "1.0"\n'),),
        ("tests/security/test_access.py::test_tls_of_old_is_refused",),
    ),
    TakenOut(
        CLEAR,
        "`tls` of HTTP",
        (Change(TLS, "tls: *encrypted", NOTHING_SPECIAL),),
        (f"{GETS_IN}[tls]",),
    ),
    TakenOut(
        CLEAR,
        "of gRPC",
        (
            Change(TLS, OF_THE_SERVER, f"        {NOTHING_SPECIAL}\n"),
            Change(TLS, "        tls: *encrypted\n", OF_THE_SERVER),
        ),
        (f"{GETS_IN}[tls]",),
    ),
    TakenOut(
        NEW_TOKEN,
        "the file, its token of the start in its place",
        (
            Change(
                TOKENS,
                "filename: ${env:OTLP_SERVER_SECRETS}/token",
                "token: ${file:${env:OTLP_SERVER_SECRETS}/token}",
            ),
        ),
        (f"{OTLP}test_a_new_token_is_taken_beside_the_old_one_without_a_restart",),
    ),
    TakenOut(
        FILES,
        "the check of modes",
        (Change(ACCESS, "mode & 0o077", "mode & 0"),),
        (f"{SECRETS}test_a_secret_that_others_can_read_is_refused",),
    ),
    TakenOut(
        FILES,
        "of tokens",
        (Change(ACCESS, "    if access.by_token:\n        _check_tokens(access)\n"),),
        (f"{SECRETS}test_a_token_that_cannot_do",),
    ),
    TakenOut(
        FILES,
        "the handshake",
        (
            Change(
                ACCESS,
                "return min(_shake_hands(access, server, client, host) for host in hosts)",
                "return None",
            ),
        ),
        (f"{SECRETS}test_a_certificate_out_of_its_time",),
    ),
    TakenOut(
        FILES,
        "the name in it",
        (Change(ACCESS, "server_hostname=host)", "server_hostname='127.0.0.1')"),),
        (f"{SECRETS}test_a_name_that_the_certificate_does_not_have",),
    ),
    TakenOut(
        FILES,
        "its place before all else, natively",
        (
            Change(
                "stack/runtimes/native.py",
                "    check_access(plan)\n    running = is_running(plan)\n",
                "    running = is_running(plan)\n",
            ),
            Change(
                "stack/runtimes/native.py",
                "    prepare(plan)\n    for folder in",
                "    prepare(plan)\n    check_access(plan)\n    for folder in",
            ),
        ),
        (f"{BEFORE_ALL}[native]",),
    ),
    TakenOut(
        FILES,
        "with containers",
        (
            Change(
                "stack/runtimes/docker.py",
                "    check_access(plan)\n    _check_profile(plan)\n    engine = require_engine()\n",
                "    _check_profile(plan)\n    engine = require_engine()\n    check_access(plan)\n",
            ),
        ),
        (f"{BEFORE_ALL}[docker]",),
    ),
    TakenOut(
        ADOT,
        "the refusal",
        (Change("stack/collector_config/adot.py", 'if kind == "receivers":', "if False:"),),
        (f"{FORM}test_a_receiver_is_not_left_open_where_adot_has_no_authenticator_for_it",),
    ),
    TakenOut(
        LISTENERS,
        "0.0.0.0 as `OTLP_BIND`'s default",
        (
            Change(CONFIG, "-127.0.0.1}:${env:OTLP_GRPC_PORT", "-0.0.0.0}:${env:OTLP_GRPC_PORT"),
            Change(CONFIG, "-127.0.0.1}:${env:OTLP_HTTP_PORT", "-0.0.0.0}:${env:OTLP_HTTP_PORT"),
        ),
        (f"{SERVING}test_every_listener_is_on_loopback_alone",),
    ),
    TakenOut(
        LISTENERS,
        "for zpages",
        (
            Change(
                CONFIG,
                "${env:COLLECTOR_BIND:-127.0.0.1}:${env:COLLECTOR_ZPAGES_PORT",
                "0.0.0.0:${env:COLLECTOR_ZPAGES_PORT",
            ),
        ),
        (AS_SHIPPED,),
    ),
    TakenOut(
        LISTENERS,
        "for the services",
        (
            Change(
                "stack/services/processes.py",
                'f"{LOOPBACK}:{port.published}"',
                'f"{EVERYWHERE if host == EVERYWHERE else LOOPBACK}:{port.published}"',
            ),
        ),
        (AS_SHIPPED,),
    ),
    TakenOut(
        LISTENERS,
        "for the emulators",
        (Change("emulators/core/settings.py", 'bind: str = "127.0.0.1"', 'bind: str = "0.0.0.0"'),),
        (AS_SHIPPED,),
    ),
    TakenOut(
        LISTENERS,
        "for the engine",
        (
            Change(
                "tools/test_machine/engine/daemon.py",
                '[_program("dockerd") or "dockerd"]',
                '[_program("dockerd") or "dockerd", "--host=tcp://0.0.0.0:2375"]',
            ),
        ),
        (
            "tests/unit/docker/test_machine_engine.py::test_an_engine_that_is_started_is_told_of_no_address",
        ),
    ),
    TakenOut(
        LISTENERS,
        "0777 as the mode of supervisor's socket",
        (Change("stack/runtimes/supervisor.py", '"chmod": "0700"', '"chmod": "0777"'),),
        (f"{RUNNING}test_supervisor_is_asked_through_a_socket_of_its_owner",),
    ),
    TakenOut(
        OPENING,
        "the check of `COLLECTOR_BIND`",
        (Change("stack/settings.py", 'collector.get("COLLECTOR_BIND", LOOPBACK)', "LOOPBACK"),),
        (NOBODY_OPENS,),
    ),
    TakenOut(
        OPENING,
        "of the second word",
        (Change("stack/settings.py", "if beyond and not asked and", "if not asked and False and"),),
        (NOBODY_OPENS,),
    ),
    TakenOut(
        OPENING,
        "of what it asks, a token in clear being enough",
        (
            Change(
                "stack/settings.py",
                "asked = access.mutual or (access.encrypted and access.by_token)",
                "asked = access.mutual or access.by_token",
            ),
        ),
        (NOBODY_OPENS,),
    ),
    TakenOut(
        OPENING,
        "`OTLP_BIND` for the health check too",
        (
            Change(
                CONFIG,
                "${env:COLLECTOR_BIND:-127.0.0.1}:${env:COLLECTOR_HEALTH_PORT",
                "${env:OTLP_BIND:-127.0.0.1}:${env:COLLECTOR_HEALTH_PORT",
            ),
        ),
        (TWO_WORDS,),
    ),
    TakenOut(
        OPENING,
        "`doctor`'s warning",
        (Change("stack/doctor/access.py", "if bind != LOOPBACK:", "if False:"),),
        (TWO_WORDS,),
    ),
    TakenOut(
        SIGNING,
        "the list of paths (one more in it)",
        (Change(PROXY, '"/SamplingTargets": true}', '"/SamplingTargets": true, "/Traces": true}'),),
        (SIGNED,),
    ),
    TakenOut(
        SIGNING,
        "the check of Origin",
        (Change(PROXY, ' || asked.Header.Get("Origin") != ""'),),
        (NOT_SIGNED,),
    ),
    TakenOut(
        SIGNING,
        "our extension, upstream's in its place",
        (
            Change(
                "collector/build/components.go",
                'awsproxy "otel-stack/awsproxy"',
                'awsproxy "github.com/open-telemetry/opentelemetry-collector-contrib/extension/'
                'awsproxy"',
            ),
        ),
        (SIGNED,),
    ),
    TakenOut(
        PAGES_SPANS,
        "origin",
        (Change(FORWARD, "if foreign or ", "if "),),
        (NOT_THE_PAGES,),
    ),
    TakenOut(
        PAGES_SPANS,
        "its own by Host in the place of by name",
        (
            Change(
                FORWARD,
                "origin not in self._origins",
                "origin != f\"http://{environ['HTTP_HOST']}\"",
            ),
        ),
        (NOT_THE_PAGES,),
    ),
    TakenOut(
        PAGES_SPANS,
        "fetch metadata",
        (Change(FORWARD, ' or environ.get("HTTP_SEC_FETCH_SITE") == "cross-site"'),),
        (NOT_THE_PAGES,),
    ),
    TakenOut(
        PAGES_SPANS,
        "size",
        (Change(FORWARD, "if int(length) > MOST_BYTES else None", "if False else None"),),
        (NOT_THE_PAGES,),
    ),
    TakenOut(
        PAGES_SPANS,
        "type",
        (
            Change(
                FORWARD,
                'if environ.get("CONTENT_TYPE", "").partition(";")[0].strip() not in '
                "self._way.types:",
                "if False:",
            ),
        ),
        (NOT_THE_PAGES,),
    ),
    TakenOut(
        PAGES_SPANS,
        "the one path",
        (Change(PAGE, "path == known or", 'path.startswith("/v1/") or'),),
        ("tests/security/test_page_server.py::test_nothing_but_spans_goes_on",),
    ),
    TakenOut(
        PAGES_SPANS,
        "two at a time",
        (Change(FORWARD, "at_once=2", "at_once=6"),),
        (f"{SERVER}test_a_collector_that_hangs_does_not_keep_the_page_from_being_served",),
    ),
    TakenOut(API, "origin", (Change(FORWARD, "if foreign or ", "if "),), (ASKED_FOR,)),
    TakenOut(
        API,
        "paths that lead up",
        (
            Change(
                PAGE,
                "send(environ) if forward.is_plain(path) else forward.Answer(NOT_FOUND)",
                "send(environ)",
            ),
        ),
        (ASKED_FOR,),
    ),
    TakenOut(
        API,
        "the list of headers (a cookie in it)",
        (Change(FORWARD, '"accept", "baggage"', '"accept", "cookie", "baggage"'),),
        (f"{SERVER}test_the_backend_gets_the_trace_and_the_pages_public_address_and_no_cookie",),
    ),
    _of_the_policy("default-src", "'self'"),
    _of_the_policy("frame-ancestors", "'none'"),
    _of_the_policy("form-action", "'self'"),
    _header("X-Content-Type-Options", "nosniff"),
    _header("Cross-Origin-Resource-Policy", "same-origin"),
    TakenOut(
        PUBLISHED,
        "the address of one port",
        (
            Change(
                COMPOSE,
                "127.0.0.1:${COLLECTOR_HEALTH_PORT:-13133}:$",
                "0.0.0.0:${COLLECTOR_HEALTH_PORT:-13133}:$",
            ),
        ),
        (f"{OF_COMPOSE}test_ports_are_on_loopback[collector]",),
    ),
    TakenOut(
        BROWSERS,
        "the list of origins (`*` in it)",
        (
            Change(
                CONFIG,
                "- http://localhost:${env:FRONTEND_PORT:-3000}\n",
                '- http://localhost:${env:FRONTEND_PORT:-3000}\n            - "*"\n',
            ),
        ),
        (f"{SERVING}test_only_the_page_may_send_from_a_browser[another]",),
    ),
    TakenOut(
        BACKEND,
        "the list of origins",
        (
            Change(
                "services/backend/cruddur/__init__.py",
                "origins=list(config.frontend_origins)",
                'origins="*"',
            ),
        ),
        ("tests/unit/services/test_errors.py::test_another_page_may_not",),
    ),
    TakenOut(
        EMULATORS,
        "the check of Host",
        (Change(GUARD, "if host not in allowed:", "if False:"),),
        (NO_PAGE,),
    ),
    TakenOut(EMULATORS, "of Origin", (Change(GUARD, '"Origin" in headers or '),), (NO_PAGE,)),
    TakenOut(
        EMULATORS,
        "of Sec-Fetch-Site",
        (Change(GUARD, ' or headers.get("Sec-Fetch-Site", "none") != "none"'),),
        (NO_PAGE,),
    ),
    _of_a_container(
        "read_only", "  read_only: true\n  cap_drop:", "  read_only: false\n  cap_drop:"
    ),
    _of_a_container("cap_drop", "  cap_drop: [ALL]", "  cap_drop: []"),
    _of_a_container("security_opt", '["no-new-privileges:true"]', "[]"),
    _of_a_container("user", "${CONTAINER_USER:-10001:10001}", "'0'"),
    _of_a_container("mem_limit", OF_PROFILES, OF_PROFILES.replace("512m", "0")),
    _of_a_container("pids_limit", OF_PROFILES, OF_PROFILES.replace("100", "0")),
    _of_a_container("logging", '    options: {max-size: 20m, max-file: "3"}', "    options: {}"),
    _as_it_runs("`cap_drop`", "    cap_drop: [NET_RAW]\n", NOBODY),
    _as_it_runs("`security_opt`", "    security_opt: [label=disable]\n", NOBODY),
    _as_it_runs("`read_only`", "    read_only: false\n", "test_it_can_write_only_where_it_has_to"),
    TakenOut(
        CONTAINERS,
        "as the kernel has it, `pids_limit`",
        (Change(COMPOSE, OF_PROFILES, OF_PROFILES.replace("100", "4000")),),
        (f"{AS_BUILT}test_it_cannot_take_the_machine_with_it[profiles-flask]",),
        runtime="docker",
    ),
    TakenOut(
        IMAGES,
        "a program called `sh` added",
        (
            Change(
                "collector/Dockerfile",
                "COPY --chmod=555 otelcol probe /\n",
                "COPY --chmod=555 otelcol probe /\nCOPY --chmod=555 probe /bin/sh\n",
            ),
        ),
        (f"{AS_BUILT}test_there_is_no_shell_for_who_gets_into_the_collector",),
        runtime="docker",
    ),
    TakenOut(
        IMAGES,
        "the removal of pip from the packages",
        (
            Change(
                "services/Dockerfile",
                "COPY --from=packages-without-pip /opt/venv /opt/venv",
                "COPY --from=packages /opt/venv /opt/venv",
            ),
        ),
        (f"{NO_TOOLS}[profiles-flask]",),
        runtime="docker",
    ),
    TakenOut(
        IMAGES,
        "from the base",
        (Change("emulators/Dockerfile", "RUN rm -rf /usr/share/python-wheels", "RUN true"),),
        (f"{NO_TOOLS}[emulators]",),
        runtime="docker",
    ),
    TakenOut(
        IMAGES,
        "a cache left in",
        (
            Change(
                "services/Dockerfile",
                "COPY --from=packages-without-pip /opt/venv /opt/venv\n",
                "COPY --from=packages-without-pip /opt/venv /opt/venv\n"
                "COPY services/requirements.txt /var/cache/apt/archives/\n",
            ),
        ),
        (f"{NO_TOOLS}[backend-flask]",),
        runtime="docker",
    ),
)
