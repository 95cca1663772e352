"""X-Ray's sampling rules as an OpenTelemetry SDK plug-in: OTEL_TRACES_SAMPLER=xray_remote.

The service itself imports nothing of this.
"""

from __future__ import annotations

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler

from otel_stack_distro.xray.argument import parse_argument
from otel_stack_distro.xray.proxy import SamplingProxy
from otel_stack_distro.xray.sampler import XRayRemoteSampler


def create_sampler(argument: str | None = None) -> Sampler:
    """Make the sampler that OTEL_TRACES_SAMPLER_ARG describes; the SDK calls this once at start.

    A span with a parent follows its parent, sampled or not; only a root span asks the rules, and
    with `trust_callers=false` also one whose caller did not sample it.
    Raises ValueError for an argument that cannot be read. The SDK then logs that line and uses its
    default sampler, which records everything.
    """
    wanted = parse_argument(argument)
    # The SDK hands a sampler no Resource: this reads the same variables that the SDK reads.
    resource = Resource.create()
    proxy = SamplingProxy(wanted.host, wanted.port)
    rules = XRayRemoteSampler(proxy, resource, wanted.polling_interval)
    if wanted.trust_callers:
        return ParentBased(root=rules)
    return ParentBased(root=rules, remote_parent_not_sampled=rules)
