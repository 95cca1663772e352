"""The sampler plug-in against a fake X-Ray: what a service sees of a sampling rule."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, ParentBased, Sampler
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from otel_stack_distro.xray import create_sampler
from otel_stack_distro.xray.argument import parse_argument
from otel_stack_distro.xray.proxy import ProxyError, SamplingProxy
from otel_stack_distro.xray.rules import Rules
from otel_stack_distro.xray.sampler import XRayRemoteSampler

from stack.settings import ROOT
from stack.waiting import wait_for
from tests.unit.aws import fake_xray

IDS = RandomIdGenerator()
RESOURCE = Resource({"service.name": "backend-flask"})
PATIENT = 60.0


@pytest.fixture
def xray() -> Iterator[fake_xray.FakeXRay]:
    with fake_xray.running() as fake:
        yield fake


@pytest.fixture
def start() -> Iterator[Callable[[str], Sampler]]:
    """Make samplers for a URL, that poll five times a second and stop with the test."""
    started: list[XRayRemoteSampler] = []

    def make(url: str, clock: Callable[[], float] = time.time) -> Sampler:
        wanted = parse_argument(f"endpoint={url}")
        proxy = SamplingProxy(wanted.host, wanted.port)
        sampler = XRayRemoteSampler(proxy, RESOURCE, 0.2, clock)
        started.append(sampler)
        return ParentBased(root=sampler)

    yield make
    for sampler in started:
        sampler.stop()


def sampled(sampler: Sampler, count: int, path: str = "/api/activities/home") -> int:
    attributes = {"http.request.method": "GET", "url.path": path}
    decisions = [
        sampler.should_sample(None, IDS.generate_trace_id(), "GET", None, attributes).decision
        for _ in range(count)
    ]
    return decisions.count(Decision.RECORD_AND_SAMPLE)


def until(condition: Callable[[], bool], what: str, seconds: float = PATIENT) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)


def everything(sampler: Sampler) -> Callable[[], bool]:
    return lambda: sampled(sampler, 20) == 20


def nothing(sampler: Sampler) -> Callable[[], bool]:
    return lambda: sampled(sampler, 20) == 0


def test_200_requests_at_the_rule_of_cruddur(
    xray: fake_xray.FakeXRay, start: Callable[[str], Sampler]
) -> None:
    # given Cruddur's rule, and X-Ray's default rule that would sample 5 %
    rule = json.loads((ROOT / "aws/sampling-rule.json").read_text())["SamplingRule"]
    xray.put_rule(**rule)
    sampler = start(xray.url)
    until(lambda: sampled(sampler, 1) >= 0 and bool(xray.statistics), "a quota is given")
    # when 200 requests come at once, the second's reservoir being spent
    began = time.monotonic()
    sampled(sampler, 100)
    count = sampled(sampler, 200)
    # then a tenth of them is sampled, within 5 standard deviations, and the reservoir's refill
    refilled = 5 * (time.monotonic() - began) + 1
    assert 0 < count <= 20 + 5 * 4.3 + refilled
    assert {each["RuleName"] for each in xray.statistics} == {"Cruddur"}


def test_the_reservoir_is_sampled_each_second_whatever_the_rate(
    xray: fake_xray.FakeXRay, start: Callable[..., Sampler]
) -> None:
    # given a rule of rate 0 with twenty requests a second guaranteed
    xray.put_rule(RuleName="r", Priority=1, FixedRate=0.0, ReservoirSize=20)
    # and a clock that goes on when it is told to
    now = float(int(time.time()))
    sampler = start(xray.url, lambda: now)
    until(lambda: sampled(sampler, 1) >= 0 and bool(xray.statistics), "the quota is asked for")

    def after(seconds: float) -> int:
        nonlocal now
        now += seconds
        return sampled(sampler, 50)

    # Before it is, one a second is borrowed.
    wait_for("the quota", lambda: after(0.25), until=lambda n: n == 5, seconds=50, pause=0.25)
    # when requests keep coming for a second, then as many are sampled as were guaranteed
    assert [after(0.25) for _ in range(4)] == [5] * 4
    # and what a second leaves over is gone with it
    assert after(2) == 20


def test_a_changed_rule_is_followed_without_a_restart(
    xray: fake_xray.FakeXRay, start: Callable[[str], Sampler]
) -> None:
    # given a rule that samples everything
    xray.put_rule(RuleName="r", Priority=1, FixedRate=1.0, ReservoirSize=0)
    sampler = start(xray.url)
    until(everything(sampler), "the rule applies")
    # when it is changed to sample nothing, then the running sampler does so, and back
    xray.put_rule(RuleName="r", Priority=1, FixedRate=0.0, ReservoirSize=0)
    until(nothing(sampler), "the change applies")
    xray.put_rule(RuleName="r", Priority=1, FixedRate=1.0, ReservoirSize=0)
    until(everything(sampler), "the change back applies")


def test_a_rule_for_another_service_or_path_does_not_apply(
    xray: fake_xray.FakeXRay, start: Callable[[str], Sampler]
) -> None:
    # given rules that name a path and another service, before one that samples nothing
    xray.put_rule(RuleName="a", Priority=1, FixedRate=1.0, ReservoirSize=0, ServiceName="other")
    xray.put_rule(RuleName="b", Priority=2, FixedRate=1.0, ReservoirSize=0, URLPath="/search*")
    xray.put_rule(RuleName="c", Priority=3, FixedRate=0.0, ReservoirSize=0)
    sampler = start(xray.url)
    until(lambda: sampled(sampler, 20, "/search/x") == 20, "the path's rule applies")
    # then only the path's requests are sampled
    assert sampled(sampler, 20, "/home") == 0


@pytest.mark.parametrize("parent_sampled", [True, False])
def test_a_parent_decides_for_its_children(
    parent_sampled: bool, xray: fake_xray.FakeXRay, start: Callable[[str], Sampler]
) -> None:
    # given a rule that says the opposite of the caller
    rate = 0.0 if parent_sampled else 1.0
    xray.put_rule(RuleName="r", Priority=1, FixedRate=rate, ReservoirSize=0)
    sampler = start(xray.url)
    until(nothing(sampler) if parent_sampled else everything(sampler), "the rule applies")
    # when a span continues the caller's trace, then the caller's decision holds
    assert as_child(sampler, parent_sampled) is parent_sampled


@pytest.mark.parametrize("parent_sampled", [True, False])
def test_a_parent_decides_also_while_there_are_no_rules(parent_sampled: bool) -> None:
    # given the sampler as the SDK makes it, with nobody at the proxy
    sampler = create_sampler("endpoint=http://127.0.0.1:9")
    # when many spans continue traces, then each follows its caller
    assert {as_child(sampler, parent_sampled) for _ in range(100)} == {parent_sampled}


def as_child(sampler: Sampler, parent_sampled: bool) -> bool:
    parent = SpanContext(
        IDS.generate_trace_id(),
        IDS.generate_span_id(),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED if parent_sampled else TraceFlags.DEFAULT),
    )
    context = trace.set_span_in_context(NonRecordingSpan(parent))
    decision = sampler.should_sample(context, parent.trace_id, "GET").decision
    return decision is Decision.RECORD_AND_SAMPLE


@pytest.mark.parametrize("silent", [False, True])
def test_without_anybody_at_the_proxy_it_samples_a_little_at_once(
    silent: bool,
    start: Callable[[str], Sampler],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given nobody at the proxy's port, or a proxy that takes connections and never answers
    monkeypatch.setattr("otel_stack_distro.xray.proxy.TIMEOUT_SECONDS", PATIENT)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if silent:
            listener.listen()
        began = time.monotonic()
        # when a sampler is made and asked 1000 times
        count = sampled(start(f"http://127.0.0.1:{listener.getsockname()[1]}"), 1000)
        seconds = time.monotonic() - began
        # then nothing waits; one a second and 5 % are sampled, within 5 standard deviations
        assert seconds < PATIENT / 2
        assert 50 - 5 * 7 <= count <= 50 + 5 * 7 + 2 + seconds
    until(lambda: "cannot be read" in caplog.text, "the failure is logged")
    told = [each for each in caplog.records if each.name.startswith("otel_stack_distro.xray")]
    assert len(told) == 1
    assert told[0].levelno == logging.WARNING
    assert "5 %" in told[0].getMessage()


def test_an_outage_keeps_the_known_rules_and_is_told_once(
    xray: fake_xray.FakeXRay,
    start: Callable[[str], Sampler],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "otel_stack_distro.xray")
    # given a sampler that follows a rule of rate 1
    xray.put_rule(RuleName="r", Priority=1, FixedRate=1.0, ReservoirSize=0)
    sampler = start(xray.url)
    until(everything(sampler), "the rule applies")
    # when X-Ray throttles for several polls
    xray.failing = 429
    until(lambda: "cannot be read" in caplog.text, "the outage is noticed")
    until(lambda: sampled(sampler, 1) == 1 and len(xray.refused) >= 4, "more polls have failed")
    # then the rule still applies, and one line was written
    assert sampled(sampler, 100) == 100
    assert caplog.text.count("cannot be read") == 1
    # and the end of it is noticed
    xray.failing = None
    until(lambda: "read again" in caplog.text, "the recovery is noticed")


def test_a_forked_worker_polls_for_itself(xray: fake_xray.FakeXRay) -> None:
    # given a service that sets up its sampler, uses it, then forks as gunicorn does
    xray.put_rule(RuleName="r", Priority=1, FixedRate=1.0, ReservoirSize=0)
    program = """
import os, sys, time
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from otel_stack_distro.xray import create_sampler
sampler = create_sampler(sys.argv[1])
ids = RandomIdGenerator()
def decide():
    return sampler.should_sample(None, ids.generate_trace_id(), "GET").decision.is_sampled()
decide()
workers = []
for _ in range(2):
    worker = os.fork()
    if not worker:
        deadline = time.monotonic() + 60
        while not all(decide() for _ in range(20)):
            assert time.monotonic() < deadline, "no rule in the worker"
        os.write(1, b"on\\n")
        while any(decide() for _ in range(20)):
            assert time.monotonic() < deadline, "no change in the worker"
            time.sleep(0.01)
        os.write(1, b"off\\n")
        os._exit(0)
    workers.append(worker)
sys.exit(max(os.waitpid(worker, 0)[1] for worker in workers) and 1)
"""
    path = os.pathsep.join([str(ROOT / "distro/src"), *sys.path])
    with subprocess.Popen(
        [sys.executable, "-c", program, f"endpoint={xray.url},polling_interval=1"],
        env={**os.environ, "PYTHONPATH": path, "OTEL_SERVICE_NAME": "backend-flask"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        # when both workers follow the rule
        assert [process.stdout.readline() for _ in range(2)] == ["on\n", "on\n"]
        # then each is a client of its own, so that X-Ray shares the reservoir between them; what
        # forked them may have asked in time to be one too, for its one request
        until(
            lambda: len({s["ClientID"] for s in xray.statistics if s["RequestCount"] > 1}) == 2,
            "both workers report what they sampled",
        )
        # and when the rule changes
        xray.put_rule(RuleName="r", Priority=1, FixedRate=0.0, ReservoirSize=0)
        # then both follow the change
        assert process.stdout.read() == "off\noff\n"
        assert process.wait() == 0


def test_the_poller_does_not_carry_on_the_first_requests_trace(
    xray: fake_xray.FakeXRay, start: Callable[[str], Sampler]
) -> None:
    # given threads that do carry it on
    ThreadingInstrumentor().instrument()
    try:
        caller = NonRecordingSpan(SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1)))
        before = set(threading.enumerate())
        # when
        with trace.use_span(caller):
            start(xray.url)._root.should_sample(None, 1, "GET")  # type: ignore[attr-defined]
    finally:
        ThreadingInstrumentor().uninstrument()
    # then
    began = set(threading.enumerate()) - before
    [poller] = [thread for thread in began if thread.name == "xray-sampling"]
    assert vars(poller)["_otel_context"] == {}


def test_the_sdk_finds_the_sampler_under_its_name() -> None:
    found = entry_points(group="opentelemetry_traces_sampler", name="xray_remote")
    assert [each.load() for each in found] == [create_sampler]


@pytest.mark.parametrize(
    ("argument", "caller", "recorded"),
    [
        ("trust_callers=false", "not sampled", True),
        ("trust_callers=false", "sampled", True),
        ("trust_callers=true", "not sampled", False),
        ("", "not sampled", False),
        # Within the service a span follows its parent all the same.
        ("trust_callers=false", "our own, not sampled", False),
    ],
)
def test_a_caller_may_ask_for_more_and_if_trusted_for_less(
    monkeypatch: pytest.MonkeyPatch, argument: str, caller: str, recorded: bool
) -> None:
    # given rules of rate 1
    monkeypatch.setattr(
        XRayRemoteSampler,
        "should_sample",
        lambda _, *given, **named: ALWAYS_ON.should_sample(*given, **named),
    )
    sampler = create_sampler(argument)
    flags = TraceFlags(0 if caller.endswith("not sampled") else 1)
    parent = SpanContext(1, 2, is_remote=not caller.startswith("our own"), trace_flags=flags)
    # when
    decided = sampler.should_sample(trace.set_span_in_context(NonRecordingSpan(parent)), 1, "GET")
    # then
    assert (decided.decision is Decision.RECORD_AND_SAMPLE) is recorded


# --- The argument


@pytest.mark.parametrize("text", [None, "", " "])
def test_no_argument_means_the_proxy_of_this_machine(text: str | None) -> None:
    wanted = parse_argument(text)
    assert (wanted.host, wanted.port, wanted.polling_interval) == ("127.0.0.1", 2000, 300)


def test_the_argument_is_written_as_the_specification_has_it() -> None:
    wanted = parse_argument("endpoint=http://collector:2001, polling_interval=15")
    assert (wanted.host, wanted.port, wanted.polling_interval) == ("collector", 2001, 15)


@pytest.mark.parametrize(
    "text",
    [
        "http://collector:2000",
        "endpont=http://collector:2000",
        "endpoint=collector:2000",
        "endpoint=https://collector:2000",
        "endpoint=http://collector:port",
        "endpoint=http://collector:2000/path",
        "polling_interval=0",
        "polling_interval=nan",
        "polling_interval=often",
        "trust_callers=no",
    ],
)
def test_an_argument_that_cannot_be_right_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"^OTEL_TRACES_SAMPLER_ARG has ") as error:
        parse_argument(text)
    assert "\n" not in str(error.value)


# --- The proxy's answers


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"SamplingRuleRecords": []}', b"\xff"])
def test_an_answer_that_makes_no_sense_is_an_error_not_a_rule(content: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content)

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(head + content)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(ProxyError):
            SamplingProxy("127.0.0.1", port).get_sampling_rules()
        thread.join()


RULE = {"RuleName": "r", "Priority": 1, "FixedRate": 1.0, "ReservoirSize": 0}
SPAN = {
    "url.path": "/api/orders/7",
    "http.request.method": "POST",
    "server.address": "shop.example",
    "tenant": "gold-1",
}


@pytest.mark.parametrize(
    ("looked_at", "fits"),
    [
        ({"URLPath": "/api/*/7"}, True),
        ({"URLPath": "/api/orders/?"}, True),
        ({"URLPath": "/api/orders"}, False),
        ({"URLPath": "/api.orders/7"}, False),
        ({"HTTPMethod": "POST", "Host": "*.example"}, True),
        ({"HTTPMethod": "GET", "Host": "*.example"}, False),
        ({"ServiceName": "backend-*"}, True),
        ({"ServiceType": "AWS::ECS::Container"}, False),
        ({"Attributes": {"tenant": "gold-*"}}, True),
        ({"Attributes": {"tenant": "gold-*", "region": "*"}}, False),
    ],
)
def test_a_rule_applies_to_what_all_its_patterns_fit(looked_at: dict[str, Any], fits: bool) -> None:
    rules = Rules(RESOURCE.attributes, "client", now=0)
    rest = {"RuleName": "rest", "Priority": 2, "FixedRate": 0, "ReservoirSize": 0}
    rules.replace([rest, {**RULE, **looked_at}], now=0)

    assert rules.decides(SPAN, IDS.generate_trace_id(), now=0) is fits


def test_an_old_instrumentations_names_do_too() -> None:
    rules = Rules(RESOURCE.attributes, "client", now=0)
    rest = {"RuleName": "rest", "Priority": 2, "FixedRate": 0, "ReservoirSize": 0}
    rules.replace([{**RULE, "URLPath": "/orders", "Host": "shop"}, rest], now=0)
    span = {"http.url": "https://shop:8443/orders?page=2", "http.host": "shop"}

    assert rules.decides(span, IDS.generate_trace_id(), now=0)


def test_what_is_borrowed_is_reported_until_there_is_a_quota_and_when_it_ends() -> None:
    rules = Rules(RESOURCE.attributes, "client", now=0)
    rules.replace([{**RULE, "FixedRate": 0.0, "ReservoirSize": 9}], now=0)

    def second(now: float) -> dict[str, Any]:
        for _ in range(20):
            rules.decides(SPAN, IDS.generate_trace_id(), now)
        [told] = rules.statistics(now)
        return {name: told[name] for name in ("RequestCount", "SampledCount", "BorrowCount")}

    assert second(1) == {"RequestCount": 20, "SampledCount": 1, "BorrowCount": 1}
    rules.follow([{"RuleName": "r", "ReservoirQuota": 5, "ReservoirQuotaTTL": 10}], now=1)
    assert second(2) == {"RequestCount": 20, "SampledCount": 5, "BorrowCount": 0}
    assert second(11) == {"RequestCount": 20, "SampledCount": 1, "BorrowCount": 1}
    assert rules.statistics(11) == []


def test_rules_unread_for_an_hour_are_none_any_more() -> None:
    rules = Rules(RESOURCE.attributes, "client", now=0)
    rules.replace([RULE], now=0)

    assert all(rules.decides(SPAN, IDS.generate_trace_id(), 3599) for _ in range(100))
    assert not all(rules.decides(SPAN, IDS.generate_trace_id(), 3600) for _ in range(100))
