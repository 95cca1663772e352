"""docs/security.md, "What comes in": each control taken out."""

from __future__ import annotations

from tests.controls.taken_out import Change, TakenOut

CONFIG = "collector/otel-config.yaml"
ADMISSION = "collector/build/admission"

BODY = "a body above 8 MiB is refused, a bomb counted as what it becomes"
WEIGHED = (
    "a request is weighed before it is decoded: depth, size when decoded, all at work together"
)
SLOW = "slow senders are cut off"
CALL = "a call over gRPC ends after 10 s"
AT_ONCE = "48 calls and 48 MiB are on their way at once"
GIVES_WAY = "what stalls gives way to what does not"
OF_A_CALL = "a call's headers are 64 KiB at most, a connection's calls 32"
COME_AGAIN = (
    "each refusal that passes says when to come again (`Retry-After`, RetryInfo): without it an "
    "SDK gives up what it holds"
)
ZSTD = (
    "no zstd over HTTP, over gRPC none that asks for more than 8 MiB: 14 bytes of it take 512 MiB"
)
COLLECTS = "Go collects garbage before the memory limiter refuses"
WORKER = "one silent or slow client does not hold a service's worker"
READ = (
    "what the commands read of others (records, metrics, configs) is read, or is one line that "
    "says what is wrong"
)

SEGMENT = (
    "a packet for the X-Ray daemon's port ends nothing, whatever is in it: one with a trace id "
    "that was too long ended the collector"
)

SERVING = "tests/unit/collector/test_serving.py"
TOO_LARGE = f"{SERVING}::test_a_body_above_8_mib_is_refused_and_the_collector_lives"
BOMBS = "tests/overload/test_bombs.py"
BOMB = f"{BOMBS}::test_a_bomb_is_refused_and_nobody_notices"
CONNECTIONS = "tests/overload/test_connections.py"
ARRIVALS = f"{ADMISSION}/arrivals_test.go"
WEIGHING = f"{ADMISSION}/admission_test.go"
OVER_HTTP = f"{ADMISSION}/refusal_test.go::TestEachRefusalOverHTTPThatPassesSaysWhenToComeAgain"
OVER_GRPC = f"{ADMISSION}/refusal_test.go::TestEachRefusalOverGRPCThatPassesSaysWhenToComeAgain"
GARBAGE = (
    "tests/unit/stack/test_plan.py::test_go_collects_garbage_before_the_memory_limiter_refuses"
)
OPEN_FILES = (
    "tests/unit/docker/test_compose_file.py"
    "::test_the_collector_may_open_as_many_files_as_idle_connections_are_tested"
)
NO_ROUTE = (
    "tests/unit/collector/test_cleaning.py"
    "::test_a_path_without_a_route_is_no_name_of_a_span[no route]"
)
SERVERS = "tests/unit/services/test_servers.py"
FUZZ = "tests/unit/stack/test_fuzz.py"

PAUSE = "code != codes.Unavailable && code != codes.ResourceExhausted"
BUSY = "answer(w, kind, http.StatusServiceUnavailable, codes.Unavailable, err"

CASES: tuple[TakenOut, ...] = (
    TakenOut(
        BODY,
        "the limit",
        (Change(CONFIG, "        max_request_body_size: 8388608\n"),),
        (TOO_LARGE,),
    ),
    TakenOut(
        BODY,
        "that of gRPC, 64 MiB in its place",
        (Change(CONFIG, "max_recv_msg_size_mib: 8\n", "max_recv_msg_size_mib: 64\n"),),
        (f"{CONNECTIONS}::test_a_message_above_the_limit[8389632]",),
    ),
    TakenOut(
        WEIGHED,
        "our receiver, upstream's in its place",
        (
            Change(
                "collector/build/components.go",
                'otlp "otel-stack/admission/otlp"',
                'otlp "go.opentelemetry.io/collector/receiver/otlpreceiver"',
            ),
        ),
        (f"{BOMB}[values 10^4 deep]",),
    ),
    TakenOut(
        WEIGHED,
        "the size when decoded",
        (Change(f"{ADMISSION}/weigh.go", "*weight > maxWeight", "*weight < 0"),),
        (f"{BOMB}[900,000 attributes]",),
    ),
    TakenOut(
        WEIGHED,
        "the size of JSON",
        (Change(f"{ADMISSION}/json.go", "if d.weight > maxWeight", "if d.weight < 0"),),
        (f"{WEIGHING}::TestWhatAListHoldsIsCountedWhateverItIs",),
    ),
    TakenOut(
        WEIGHED,
        "the weighing over gRPC",
        (Change(f"{ADMISSION}/grpc.go", "weigh(signal, body)", "len(body), error(nil)"),),
        (f"{ADMISSION}/refusal_test.go::TestABombOverGRPCIsRefusedForGood",),
    ),
    TakenOut(
        WEIGHED,
        "the depth",
        (Change(f"{ADMISSION}/weigh.go", "depth > maxDepth {", "depth < 0 {"),),
        (f"{WEIGHING}::TestDepth",),
    ),
    TakenOut(
        WEIGHED,
        "the room for all at work",
        (Change(f"{ADMISSION}/admission.go", "r.taken+int64(bytes) > r.limit", "bytes < 0"),),
        (f"{BOMBS}::test_heavy_requests_at_once",),
    ),
    TakenOut(
        SLOW,
        "both timeouts",
        (Change(CONFIG, "        read_header_timeout: 5s\n        read_timeout: 10s\n"),),
        (f"{CONNECTIONS}::test_byte_by_byte[headers]",),
    ),
    TakenOut(
        SLOW,
        "that of bodies alone",
        (Change(CONFIG, "        read_timeout: 10s\n"),),
        (f"{CONNECTIONS}::test_byte_by_byte[bodies]",),
    ),
    TakenOut(
        CALL,
        "the 10 s, an hour in their place",
        (Change(f"{ADMISSION}/grpc.go", "10 * time.Second", "time.Hour"),),
        (f"{CONNECTIONS}::test_a_call_that_stalls_is_ended",),
    ),
    TakenOut(
        AT_ONCE,
        "the 48 calls, 4,800 in their place",
        (Change(f"{ADMISSION}/arrivals.go", "maxCalls = 48\n", "maxCalls = 4800\n"),),
        (f"{CONNECTIONS}::test_streams_that_stall[same host]",),
    ),
    TakenOut(
        AT_ONCE,
        "the 48 MiB, 48 GiB in their place",
        (Change(f"{ADMISSION}/arrivals.go", "48 << 20", "48 << 30"),),
        (f"{CONNECTIONS}::test_messages_that_stall_half_way[7 MiB]",),
    ),
    TakenOut(
        AT_ONCE,
        "the count of bytes over gRPC",
        (Change(f"{ADMISSION}/connection.go", "int64(len(read) + ", "int64("),),
        (f"{ARRIVALS}::TestACallIsCountedByWhatItsConnectionBrings",),
    ),
    TakenOut(
        AT_ONCE,
        "over HTTP",
        (Change(f"{ADMISSION}/http.go", "if !c.mayHave(more - cap(body)) {", "if false {"),),
        (f"{ARRIVALS}::TestReadingAsksBeforeItTakes",),
    ),
    TakenOut(
        AT_ONCE,
        "of frames",
        (Change(f"{ADMISSION}/connection.go", "frameBytes = 128", "frameBytes = 0"),),
        (f"{CONNECTIONS}::test_messages_that_stall_half_way[a byte a frame]",),
    ),
    TakenOut(
        GIVES_WAY,
        "the giving way",
        (
            Change(
                f"{ADMISSION}/arrivals.go",
                "one := most.waiting.Front()",
                "one := (*list.Element)(nil)",
            ),
        ),
        (
            f"{ARRIVALS}::TestOfOneHostOnlyWhatStallsGivesWay",
            f"{ARRIVALS}::TestABodyThatStallsIsAnsweredWhenOthersNeedItsRoom",
        ),
    ),
    TakenOut(
        GIVES_WAY,
        "the look at what stalls",
        (Change(f"{ADMISSION}/arrivals.go", " && !one.Value.(*arrival).stalls()", " && false"),),
        (f"{ARRIVALS}::TestOfOneHostOnlyWhatStallsGivesWay",),
    ),
    TakenOut(
        OF_A_CALL,
        "the limit of headers",
        (Change(f"{ADMISSION}/grpc.go", "\t\tgrpc.MaxHeaderListSize(maxHeaders),\n"),),
        (f"{CONNECTIONS}::test_headers_without_end",),
    ),
    TakenOut(
        OF_A_CALL,
        "of calls",
        (Change(CONFIG, "        max_concurrent_streams: 32\n"),),
        (f"{CONNECTIONS}::test_one_connection_is_given_few_streams",),
    ),
    TakenOut(
        COME_AGAIN,
        "the header of our own 503",
        (Change(f"{ADMISSION}/http.go", "busy(w, kind, errBusy)", f"{BUSY}Busy)"),),
        (OVER_HTTP,),
    ),
    TakenOut(
        COME_AGAIN,
        "of a body on its way",
        (
            Change(
                f"{ADMISSION}/http.go",
                "busy(w, kind, err)\n\t\tcase errors.As(",
                f"{BUSY})\n\t\tcase errors.As(",
            ),
        ),
        (OVER_HTTP,),
    ),
    TakenOut(
        COME_AGAIN,
        "of one that came too late",
        (
            Change(
                f"{ADMISSION}/http.go",
                "busy(w, kind, err)\n\t\tdefault:",
                f"{BUSY})\n\t\tdefault:",
            ),
        ),
        (f"{ADMISSION}/refusal_test.go::TestABodyThatComesTooLateMayComeAgain",),
    ),
    TakenOut(
        COME_AGAIN,
        "of upstream's 503",
        (Change(f"{ADMISSION}/http.go", "status == http.StatusServiceUnavailable || "),),
        (OVER_HTTP,),
    ),
    TakenOut(
        COME_AGAIN,
        "of upstream's 429",
        (Change(f"{ADMISSION}/http.go", " || status == http.StatusTooManyRequests"),),
        (OVER_HTTP,),
    ),
    TakenOut(
        COME_AGAIN,
        "RetryInfo of a call too many",
        (
            Change(
                f"{ADMISSION}/grpc.go",
                "return ctx, g.withRetryInfo(status.Error(codes.ResourceExhausted, "
                "errBusy.Error()))",
                "return ctx, status.Error(codes.ResourceExhausted, errBusy.Error())",
            ),
        ),
        (OVER_GRPC,),
    ),
    TakenOut(
        COME_AGAIN,
        "of a message too many",
        (
            Change(
                f"{ADMISSION}/grpc.go",
                "again := c.guard.withRetryInfo(status.Error(codes.ResourceExhausted, "
                "errBusy.Error()))",
                "again := status.Error(codes.ResourceExhausted, errBusy.Error())",
            ),
        ),
        (OVER_GRPC,),
    ),
    TakenOut(
        COME_AGAIN,
        "of upstream's UNAVAILABLE",
        (Change(f"{ADMISSION}/grpc.go", PAUSE, "code != codes.ResourceExhausted"),),
        (OVER_GRPC,),
    ),
    TakenOut(
        COME_AGAIN,
        "of upstream's RESOURCE_EXHAUSTED",
        (Change(f"{ADMISSION}/grpc.go", PAUSE, "code != codes.Unavailable"),),
        (OVER_GRPC,),
    ),
    TakenOut(
        ZSTD,
        "zstd put back",
        (Change(CONFIG, '["", gzip, deflate', '["", zstd, gzip, deflate'),),
        (f"{BOMBS}::test_zstd_is_refused_by_its_name",),
    ),
    TakenOut(
        ZSTD,
        "the limit over gRPC",
        (Change(f"{ADMISSION}/otlp/factory.go", "\tadmission.LimitZstd()\n"),),
        (f"{ADMISSION}/otlp/factory_test.go::TestAFrameOfZstdOverGRPCGetsNoMoreThan8MiB",),
    ),
    TakenOut(
        COLLECTS,
        "`GOMEMLIMIT`",
        (Change("stack/services/__init__.py", '        "GOMEMLIMIT": memory_limit(plan),\n'),),
        (GARBAGE,),
    ),
    TakenOut(
        COLLECTS,
        "its place below the limit",
        (
            Change(
                "stack/collector_config/text.py",
                "{limit - (spike if isinstance(spike, int) else limit // 5)}MiB",
                "{limit}MiB",
            ),
        ),
        (GARBAGE,),
    ),
    TakenOut(
        "the collector's container may open as many files as idle connections are tested, 10,000",
        "8,000 in its place",
        (Change("compose/compose.yaml", "nofile: 16384", "nofile: 8000"),),
        (OPEN_FILES,),
    ),
    TakenOut(
        "a body above 64 KiB is refused by the services",
        "64 MiB in its place",
        (
            Change(
                "distro/src/otel_stack_distro/flask/__init__.py",
                "MOST_BYTES = 64 * 1024",
                "MOST_BYTES = 64 * 1024 * 1024",
            ),
        ),
        ("tests/unit/services/test_errors.py::test_a_body_above_the_limit_is_refused_unread",),
    ),
    TakenOut(
        "a path that no route knows is no name of a span",
        "the rule",
        (
            Change(
                CONFIG,
                '      - set(span.name, span.attributes["http.request.method"]) where span.kind == '
                'SPAN_KIND_SERVER\n        and span.attributes["http.route"] == nil and '
                'span.attributes["http.request.method"] != nil\n',
            ),
        ),
        (NO_ROUTE,),
    ),
    TakenOut(
        WORKER,
        "the kernel's keeping of silent ones",
        (
            Change(
                "distro/src/otel_stack_distro/gunicorn/worker.py",
                'sys.platform == "linux"',
                "not sys.platform",
            ),
        ),
        (f"{SERVERS}::test_connections_that_say_nothing_keep_nobody_waiting",),
    ),
    TakenOut(
        WORKER,
        "the time of a request",
        (
            Change(
                "distro/src/otel_stack_distro/gunicorn/worker.py",
                "_Hurried(client), addr",
                "client, addr",
            ),
        ),
        (
            f"{SERVERS}::test_a_request_that_comes_byte_by_byte_does_not_hold_its_worker[headers]",
            f"{SERVERS}::test_a_request_that_comes_byte_by_byte_does_not_hold_its_worker[body]",
        ),
    ),
    TakenOut(
        READ,
        "what catches a record that is cut off",
        (
            Change(
                "stack/telemetry.py",
                "except (ValueError, RecursionError):",
                "except RecursionError:",
            ),
        ),
        (f"{FUZZ}::test_the_local_record",),
    ),
    TakenOut(
        READ,
        "a number that names nothing",
        (
            Change(
                "stack/telemetry.py",
                "words[number] if 0 <= number < len(words) else words[0]",
                "words[number]",
            ),
        ),
        (f"{FUZZ}::test_the_local_record",),
    ),
    TakenOut(
        READ,
        "a metric that is no number",
        (
            Change(
                "stack/ledger.py",
                "except (ValueError, OverflowError) as",
                "except OverflowError as",
            ),
        ),
        (f"{FUZZ}::test_the_collectors_metrics",),
    ),
    TakenOut(
        READ,
        "a config that nests without end",
        (
            Change(
                "stack/collector_config/text.py",
                "except (yaml.YAMLError, RecursionError) as",
                "except yaml.YAMLError as",
            ),
        ),
        (f"{FUZZ}::test_configs",),
    ),
    TakenOut(
        READ,
        "a tag of Python's",
        (
            Change(
                "stack/collector_config/text.py",
                "except (yaml.YAMLError, ValueError, RecursionError) as",
                "except (ValueError, RecursionError) as",
            ),
        ),
        (f"{FUZZ}::test_configs",),
    ),
    TakenOut(
        SEGMENT,
        "what recovers from a panic",
        (
            Change(
                "collector/build/awsxrayreceiver/intake.go",
                "if panicked := recover(); panicked != nil",
                "if panicked := error(nil); panicked != nil",
            ),
        ),
        ("collector/build/awsxrayreceiver/intake_test.go::TestAPanicIsARefusal",),
    ),
    TakenOut(
        SEGMENT,
        "the form of a trace id",
        (
            Change(
                "collector/build/awsxrayreceiver/intake.go",
                "case whole && (d.TraceID == nil || !traceID.MatchString(*d.TraceID)):",
                "case whole && d.TraceID == nil:",
            ),
            Change(
                "collector/build/awsxrayreceiver/intake.go",
                "case d.TraceID != nil && !traceID.MatchString(*d.TraceID):",
                "case false:",
            ),
        ),
        ("collector/build/awsxrayreceiver/intake_test.go::TestWhatIsRefusedIsCountedByItsReason",),
    ),
)
