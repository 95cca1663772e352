"""docs/security.md, "What is noticed": each control taken out."""

from __future__ import annotations

from tests.controls.taken_out import Change, TakenOut

ALARMS = "a burst of refused requests, probes, and one client behind much of it raise an alarm"
ADDRESS = (
    "nobody writes another address into it: `X-Forwarded-For` is believed as far as the proxies "
    "that were told"
)

LOG = "distro/src/otel_stack_distro/flask/access_log.py"
CLIENT = "distro/src/otel_stack_distro/client_address.py"

RAISED = "tests/integration/aws/test_security_alarms.py::"
PROBES = f"{RAISED}test_probes_are_seen_by_shape_and_their_text_is_in_no_log"
ONE_CLIENT = (
    f"{RAISED}test_a_burst_of_one_client_raises_its_kind_and_the_client_and_both_fall_silent_again"
)
BELIEVED = (
    "tests/unit/services/test_client_address.py::"
    "test_a_forwarded_address_is_believed_as_far_as_the_proxies_are"
)

CASES: tuple[TakenOut, ...] = (
    TakenOut(
        ALARMS,
        "403 in the filter of denied requests",
        (Change("aws/telemetry.yaml", " || ($.attributes.['http.response.status_code'] = 403)"),),
        (f"{RAISED}test_who_is_refused_again_and_again_is_seen",),
    ),
    TakenOut(
        ALARMS,
        "a probe as an event of the access log",
        (Change(LOG, '"probe" if shape else EVENTS.get(status)', "EVENTS.get(status)"),),
        (PROBES,),
    ),
    TakenOut(
        ALARMS,
        "its shape in it",
        (Change(LOG, '    if shape:\n        found["security_rule.name"] = shape\n'),),
        (PROBES,),
    ),
    TakenOut(
        ALARMS,
        "`security_client` in it",
        (
            Change(
                LOG,
                "    if request.remote_addr:\n"
                '        found["security_client"] = request.remote_addr\n',
            ),
        ),
        (ONE_CLIENT,),
    ),
    TakenOut(
        ADDRESS,
        "believing it untold",
        (Change(CLIENT, "if self.trusted_proxies:", 'if "HTTP_X_FORWARDED_FOR" in environ:'),),
        (BELIEVED,),
    ),
    TakenOut(
        ADDRESS,
        "taking the last address of it whatever the number of proxies",
        (Change(CLIENT, "hops[-self.trusted_proxies] if", "hops[-1] if"),),
        (BELIEVED,),
    ),
)
