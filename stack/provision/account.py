"""An AWS account, or the emulators that play one, and what it answers.

The same calls go to both; only `Target` tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
)

from stack.accounts import HERE
from stack.errors import StackError
from stack.settings import Settings
from stack.vendors import vendor
from stack.vendors.aws import CLOUDWATCH, XRAY

Service = Literal["cloudformation", "xray", "logs", "cloudwatch", "sts"]

_WRONG_KEY = {
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}


@dataclass(frozen=True, slots=True)
class Target:
    """An account, or the emulators that play one.

    `endpoints` maps a service of boto3 to a URL; a service that is not in it goes to AWS. Without
    keys boto3 looks for credentials as it always does.
    """

    region: str
    endpoints: Mapping[str, str] = field(default_factory=dict)
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    profile: str | None = None
    # boto3 needs some 50 ms to make a client out of its service descriptions.
    _clients: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def client(self, service: Service) -> Any:
        if service not in self._clients:
            session = boto3.session.Session(
                aws_access_key_id=self.access_key_id,
                aws_secret_access_key=self.secret_access_key,
                aws_session_token=self.session_token,
                profile_name=self.profile,
                region_name=self.region,
            )
            self._clients[service] = session.client(
                service,
                endpoint_url=self.endpoints.get(service),
                config=Config(
                    connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 3}
                ),
            )
        return self._clients[service]


def account_of(target: Target) -> str:
    """Return the twelve digits of the account. Raises StackError when the keys are not accepted."""
    return caller_of(target)["Account"]


def caller_of(target: Target) -> dict[str, str]:
    """Return whose keys these are: `Account`, `Arn`. Raises StackError where nobody's."""
    with asking(target, "sts") as sts:
        return dict(sts.get_caller_identity())


@contextmanager
def asking(target: Target, service: Service) -> Iterator[Any]:
    """Give a client, and tell each way in which AWS may fail in one line as StackError."""
    place = target.endpoints.get(service) or f"{service} in {target.region}"
    try:
        yield target.client(service)
    except ClientError as error:
        code = error.response["Error"].get("Code", "")
        raise StackError(
            f"{place} refused {error.operation_name}: {code}: {_one_line(error)}",
            _todo(code, service, error.operation_name),
        ) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise StackError(
            "there are no AWS credentials", "set AWS_PROFILE, or run aws configure"
        ) from error
    except ProfileNotFound as error:
        raise StackError(
            f"there is no AWS profile {target.profile!r}", "aws configure list-profiles shows them"
        ) from error
    except NoRegionError as error:
        raise StackError("there is no AWS region", "set AWS_REGION") from error
    except (EndpointConnectionError, ConnectTimeoutError, ReadTimeoutError) as error:
        raise StackError(f"{place} does not answer", "check the network and the address") from error
    except (BotoCoreError, ValueError) as error:
        raise StackError(f"{place}: {' '.join(str(error).split())}") from error


def _one_line(error: ClientError) -> str:
    said = error.response["Error"].get("Message", "no reason given")
    return " ".join(said.split()).rstrip(".")


def _todo(code: str, service: str, operation: str) -> str:
    if code in {"AccessDeniedException", "AccessDenied", "UnauthorizedOperation"}:
        return (
            f"allow {service}:{operation} to the role that you use; see aws/provision-policy.json"
        )
    if "Throttl" in code:
        return "wait a minute and try again"
    if code in _WRONG_KEY:
        return "check the access key and its secret"
    if "Expired" in code:
        return "get new temporary credentials"
    return ""


def aws_target(settings: Settings) -> Target:
    """The account that the collector sends to, or the emulators that play it."""
    xray, cloudwatch = vendor(settings, XRAY, HERE), vendor(settings, CLOUDWATCH, HERE)
    keys = xray.collector
    played = {
        "xray": xray.url,
        "logs": cloudwatch.url,
        "cloudwatch": cloudwatch.url,
        "cloudformation": cloudwatch.url,
        "sts": cloudwatch.url,
    }
    return Target(
        region=settings.aws_region,
        endpoints={} if xray.live else played,
        access_key_id=keys.get("AWS_ACCESS_KEY_ID"),
        secret_access_key=keys.get("AWS_SECRET_ACCESS_KEY"),
        session_token=keys.get("AWS_SESSION_TOKEN"),
        profile=keys.get("AWS_PROFILE"),
    )
