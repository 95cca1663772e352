"""X-Ray and CloudWatch: one account, live only by AWS_TELEMETRY, since a laptop's own credentials
must not start a bill.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from pydantic import SecretStr, model_validator

from emulators.aws.settings import Settings as EmulatedAws
from emulators.xray.settings import Settings as EmulatedXRay
from stack.vendors.model import (
    Check,
    Chosen,
    Declaration,
    Emulators,
    Port,
    Shape,
    Vendor,
    VendorSettings,
    revealed,
)

XRAY, CLOUDWATCH = "xray", "cloudwatch"

NO_AMBIENT_AWS = {
    # Neither a laptop's own profile nor an instance's role may be found while AWS is played here.
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Settings(VendorSettings):
    """Of `.env`; AWS_REGION is a variable of the collector's config."""

    aws_telemetry: Literal["local", "live"] = "local"
    aws_profile: str | None = None
    aws_access_key_id: str | None = None
    aws_secret_access_key: SecretStr | None = None
    aws_session_token: SecretStr | None = None
    emulator_xray_port: Port = EmulatedXRay().port
    emulator_aws_port: Port = EmulatedAws().port

    @model_validator(mode="after")
    def _whole_credentials(self) -> Settings:
        if self.live and (self.aws_access_key_id is None) != (self.aws_secret_access_key is None):
            raise ValueError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together")
        return self

    @property
    def live(self) -> bool:
        return self.aws_telemetry == "live"


def vendors(settings: Chosen, emulator_host: str) -> tuple[Vendor, ...]:
    own, region = settings.of(Settings), settings.aws_region
    if own.live:
        given = {
            "AWS_REGION": region,
            "AWS_PROFILE": own.aws_profile,
            "AWS_ACCESS_KEY_ID": own.aws_access_key_id,
            "AWS_SECRET_ACCESS_KEY": revealed(own.aws_secret_access_key),
            "AWS_SESSION_TOKEN": revealed(own.aws_session_token),
        }
        shared = {name: value for name, value in given.items() if value}
        xray_url = f"https://xray.{region}.amazonaws.com"
        logs_url = f"https://logs.{region}.amazonaws.com"
    else:
        shared = {
            "AWS_REGION": region,
            "AWS_ACCESS_KEY_ID": EmulatedAws().access_key_id,
            "AWS_SECRET_ACCESS_KEY": EmulatedAws().secret_access_key,
            **NO_AMBIENT_AWS,
        }
        xray_url = f"http://{emulator_host}:{own.emulator_xray_port}"
        logs_url = f"http://{emulator_host}:{own.emulator_aws_port}"
    why = "AWS_TELEMETRY=live" if own.live else "AWS_TELEMETRY is not live"
    for_logs = {**shared, "CLOUDWATCH_LOGS_ENDPOINT": logs_url}
    return (
        Vendor(
            name=XRAY,
            live=own.live,
            why=why,
            url=xray_url,
            emulator="xray",
            collector={**shared, "XRAY_ENDPOINT": xray_url},
            page_of=lambda trace_id: (
                f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
                f"#xray:traces/1-{trace_id[:8]}-{trace_id[8:]}"
            ),
        ),
        Vendor(
            name=CLOUDWATCH,
            live=own.live,
            why=why,
            url=logs_url,
            emulator="aws",
            collector=for_logs,
            app=for_logs if settings.log_route == "watchtower" else {},
            # botocore reads no AWS_REGION; of its endpoints this one alone is CloudWatch's logs'.
            sdks={
                "watchtower": {
                    **shared,
                    "AWS_DEFAULT_REGION": region,
                    "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": logs_url,
                }
            },
            emulated={"metrics": _holds_metric},
        ),
    )


def _holds_metric(emulators: Emulators, trace_id: str) -> bool:
    """CloudWatch keeps no trace id with a metric: it is known by its value."""
    from stack.otlp_json import VERIFY_METRIC, gauge_value  # noqa: PLC0415 - sends by requests

    value = gauge_value(trace_id)
    points = emulators.metrics(name=VERIFY_METRIC)
    return any(value == number for point in points for number, _ in point.get("values", ()))


def _checks() -> Mapping[str, Check]:
    from stack.vendors.aws import checks  # noqa: PLC0415 - boto3 is slow, and doctor's alone

    return {
        "aws": checks.check_identity,
        XRAY: checks.check_xray,
        CLOUDWATCH: checks.check_cloudwatch,
    }


VENDOR = Declaration(
    settings=Settings,
    vendors=vendors,
    checks=_checks,
    shapes={
        "AWS_ACCESS_KEY_ID": Shape(
            re.compile(r"A[KS]IA[A-Z0-9]{16}"),
            "it begins with AKIA or ASIA and has 20 characters",
        ),
        "AWS_SECRET_ACCESS_KEY": Shape(re.compile(r"[A-Za-z0-9/+=]{40}"), "it has 40 characters"),
        "AWS_REGION": Shape(re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]"), "for example eu-central-1"),
    },
    # A shell's own AWS variables are nothing to this stack.
    shapes_matter=lambda values: values.get("AWS_TELEMETRY") == "live",
    exporters={"awsxray": XRAY, "awsemf": CLOUDWATCH, "awscloudwatchlogs": CLOUDWATCH},
    follows={"XRAY_ENDPOINT": "AWS_REGION", "CLOUDWATCH_LOGS_ENDPOINT": "AWS_REGION"},
    public=(EmulatedAws().access_key_id,),
)
