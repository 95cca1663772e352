"""Each vendor, live or played by an emulator, and what the collector and the app need for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from emulators.aws.settings import Settings as EmulatedAws
from emulators.honeycomb.settings import Settings as EmulatedHoneycomb
from emulators.rollbar.settings import Settings as EmulatedRollbar
from stack.settings import Settings

HONEYCOMB_HOSTS = {"us": "api.honeycomb.io", "eu": "api.eu1.honeycomb.io"}
ROLLBAR_URL = "https://api.rollbar.com/api/1/"

EMULATOR_PORTS = (
    "control_port",
    "honeycomb_port",
    "xray_port",
    "aws_port",
    "rollbar_port",
    "otlp_port",
    "otlp_grpc_port",
)

NO_AMBIENT_AWS = {
    # Neither a laptop's own profile nor an instance's role may be found while AWS is played here.
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True)
class Vendor:
    """`why`: what made it live, or what would. `url`: where its API is.

    `collector`, `app` and `page`: the variables that it needs there. They may hold keys; those of
    the page are for everybody who opens it.
    """

    name: str
    live: bool
    why: str
    url: str
    collector: Mapping[str, str] = field(default_factory=dict, repr=False)
    app: Mapping[str, str] = field(default_factory=dict, repr=False)
    page: Mapping[str, str] = field(default_factory=dict, repr=False)


def vendors(settings: Settings, emulator_host: str) -> tuple[Vendor, ...]:
    """Honeycomb, X-Ray, CloudWatch and Rollbar. `emulator_host` is where processes of the chosen
    runtime reach the emulators.
    """
    return (
        _honeycomb(settings, emulator_host),
        *_aws(settings, emulator_host),
        _rollbar(settings, emulator_host),
    )


def emulator_variables(settings: Settings) -> dict[str, str]:
    """What the emulators' process is told: their ports, as the user set them, and the page."""
    ports = (f"emulator_{name}" for name in EMULATOR_PORTS)
    return {
        "EMULATOR_PAGE_ORIGINS": ",".join(page_origins(settings)),
        **{name.upper(): str(getattr(settings, name)) for name in ports},
    }


def page_origins(settings: Settings) -> tuple[str, str]:
    """Where a browser on this machine has the page from."""
    port = settings.frontend_port
    return f"http://127.0.0.1:{port}", f"http://localhost:{port}"


def _honeycomb(settings: Settings, host: str) -> Vendor:
    key = settings.honeycomb_api_key
    url = (
        f"https://{HONEYCOMB_HOSTS[settings.honeycomb_region]}"
        if key
        else f"http://{host}:{settings.emulator_honeycomb_port}"
    )
    return Vendor(
        name="honeycomb",
        live=key is not None,
        why="HONEYCOMB_API_KEY is set" if key else "HONEYCOMB_API_KEY is not set",
        url=url,
        collector={
            "HONEYCOMB_ENDPOINT": url,
            "HONEYCOMB_API_KEY": key.get_secret_value() if key else EmulatedHoneycomb().key,
        },
    )


def _aws(settings: Settings, host: str) -> tuple[Vendor, Vendor]:
    if settings.aws_telemetry == "live":
        given = {
            "AWS_REGION": settings.aws_region,
            "AWS_PROFILE": settings.aws_profile,
            "AWS_ACCESS_KEY_ID": settings.aws_access_key_id,
            "AWS_SECRET_ACCESS_KEY": _secret(settings.aws_secret_access_key),
            "AWS_SESSION_TOKEN": _secret(settings.aws_session_token),
        }
        shared = {name: value for name, value in given.items() if value}
        region = settings.aws_region
        xray_url = f"https://xray.{region}.amazonaws.com"
        logs_url = f"https://logs.{region}.amazonaws.com"
        why = "AWS_TELEMETRY=live"
    else:
        shared = {
            "AWS_REGION": settings.aws_region,
            "AWS_ACCESS_KEY_ID": EmulatedAws().access_key_id,
            "AWS_SECRET_ACCESS_KEY": EmulatedAws().secret_access_key,
            **NO_AMBIENT_AWS,
        }
        xray_url = f"http://{host}:{settings.emulator_xray_port}"
        logs_url = f"http://{host}:{settings.emulator_aws_port}"
        why = "AWS_TELEMETRY is not live"
    live = settings.aws_telemetry == "live"
    xray = Vendor(
        name="xray",
        live=live,
        why=why,
        url=xray_url,
        collector={**shared, "XRAY_ENDPOINT": xray_url},
    )
    cloudwatch = Vendor(
        name="cloudwatch",
        live=live,
        why=why,
        url=logs_url,
        collector={**shared, "CLOUDWATCH_LOGS_ENDPOINT": logs_url},
        app={**shared, "CLOUDWATCH_LOGS_ENDPOINT": logs_url}
        if settings.log_route == "watchtower"
        else {},
    )
    return xray, cloudwatch


def _rollbar(settings: Settings, host: str) -> Vendor:
    token = settings.rollbar_access_token
    client = settings.rollbar_client_token
    url = ROLLBAR_URL if token else f"http://{host}:{settings.emulator_rollbar_port}/api/1/"
    # Browsers are on this machine, whichever runtime plays Rollbar.
    for_browsers = (
        ROLLBAR_URL if token else f"http://127.0.0.1:{settings.emulator_rollbar_port}/api/1/"
    )
    for_pages = _secret(client) if token else EmulatedRollbar().client_token
    return Vendor(
        name="rollbar",
        live=token is not None,
        why="ROLLBAR_ACCESS_TOKEN is set" if token else "ROLLBAR_ACCESS_TOKEN is not set",
        url=url,
        app={
            "ROLLBAR_ENDPOINT": url,
            "ROLLBAR_ACCESS_TOKEN": token.get_secret_value() if token else EmulatedRollbar().token,
        },
        page={"ROLLBAR_ENDPOINT": for_browsers, "ROLLBAR_CLIENT_TOKEN": for_pages}
        if for_pages
        else {},
    )


def _secret(value: object) -> str | None:
    reveal = getattr(value, "get_secret_value", None)
    return str(reveal()) if reveal else None
