"""An AWS account, or the emulators that play one, and what it answers.

The same calls go to both; only `Target` tells them apart.
"""

from __future__ import annotations

from collections.abc import Mapping
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

from stack.errors import StackError

Service = Literal["xray", "logs", "cloudwatch", "sts"]

_WRONG_KEY = {
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_NOT_THERE = {"ResourceNotFoundException", "ResourceNotFound", "DashboardNotFoundError"}


class NotThereError(Exception):
    """What was asked for does not exist."""


class AlreadyThereError(Exception):
    """The log group that was to be created exists."""


@dataclass(frozen=True, slots=True)
class Target:
    """An account, or the emulators that play one.

    `endpoints` maps a service of boto3 (`xray`, `logs`, `cloudwatch`, `sts`) to a URL; a service
    that is not in it goes to AWS. Without keys boto3 looks for credentials as it always does.
    Without `account` STS is asked.
    """

    region: str
    endpoints: Mapping[str, str] = field(default_factory=dict)
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    profile: str | None = None
    account: str | None = None
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
    if target.account:
        return target.account
    return str(ask(target, "sts", "get_caller_identity", {})["Account"])


def list_all(
    target: Target,
    service: Service,
    operation: str,
    key: str,
    arguments: dict[str, Any],
) -> list[dict[str, Any]]:
    """Return the items of every page."""
    token_name = "nextToken" if service == "logs" else "NextToken"
    items: list[dict[str, Any]] = []
    page = arguments
    while True:
        answer = ask(target, service, operation, page)
        items += answer.get(key, [])
        token = answer.get(token_name)
        if not token:
            return items
        page = {**arguments, token_name: token}


def ask(
    target: Target,
    service: Service,
    operation: str,
    arguments: dict[str, Any],
) -> dict[str, Any]:
    """Call AWS, with each way to fail told in one line as StackError."""
    place = target.endpoints.get(service) or f"{service} in {target.region}"
    try:
        answer: dict[str, Any] = getattr(target.client(service), operation)(**arguments)
    except ClientError as error:
        code = error.response["Error"].get("Code", "")
        if code in _NOT_THERE:
            raise NotThereError from error
        if code == "ResourceAlreadyExistsException":
            raise AlreadyThereError from error
        raise StackError(
            f"{place} refused {operation}: {code}: {_one_line(error.response['Error'])}",
            _todo(code, service, operation),
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
        raise StackError(
            f"{place} does not answer {operation}", "check the network and the address"
        ) from error
    except (BotoCoreError, ValueError) as error:
        raise StackError(f"{operation} at {place}: {' '.join(str(error).split())}") from error
    return answer


def _one_line(error: Mapping[str, Any]) -> str:
    return " ".join(str(error.get("Message", "no reason given")).split()).rstrip(".")


def _todo(code: str, service: str, operation: str) -> str:
    action = "".join(part.capitalize() for part in operation.split("_"))
    if code in {"AccessDeniedException", "AccessDenied", "UnauthorizedOperation"}:
        return f"allow {service}:{action} to the role that you use"
    if "Throttl" in code:
        return "wait a minute and try again"
    if code in _WRONG_KEY:
        return "check the access key and its secret"
    if "Expired" in code:
        return "get new temporary credentials"
    return ""
