"""What the AWS emulators share: nobody is answered whose signature does not verify."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from aiohttp import web

from emulators.aws import model as awsmodel
from emulators.aws import sigv4
from emulators.aws.settings import Settings as Own
from emulators.core.bodies import read
from emulators.core.store import Json
from emulators.core.vendor import AHEAD, WHY, Vendor

ACCOUNT = "123456789012"
# AWS's exception names for the statuses that a fault can ask for; a service may have its own.
FAULT_CODES = {
    400: "InvalidRequestException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    429: "ThrottlingException",
    500: "InternalFailure",
    503: "ServiceUnavailable",
}
# What each service calls a request outside of its model; the others say ValidationError.
_INVALID = {
    "logs": "InvalidParameterException",
    "xray": "InvalidRequestException",
    "sns": "InvalidParameter",
}


class AwsError(Exception):
    """An error that a handler answers with: AWS's code, HTTP status, and the message."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class AwsVendor(Vendor):
    """A vendor whose requests are signed."""

    services: ClassVar[frozenset[str]]

    async def signed(
        self,
        request: web.Request,
        limit: int,
        services: Collection[str] | None = None,
    ) -> tuple[sigv4.Caller, bytes]:
        """Who sent this, and the body as sent. Raises AwsError, BodyError."""
        body = await read(request, limit)
        own = self.settings.of(Own)
        try:
            caller = sigv4.verify(
                request.method,
                request.raw_path,
                request.headers,
                body,
                {own.access_key_id: own.secret_access_key},
                services or self.services,
                datetime.now(UTC) + timedelta(seconds=request.get(AHEAD, 0.0)),
            )
        except sigv4.SignatureError as error:
            request[WHY] = f"{error.code}: {error}"
            raise AwsError(error.code, str(error), 403) from None
        return caller, body


def validated(service: str, operation: str, ask: Json) -> Json:
    """`ask` as AWS's own model of that operation takes it. Raises AwsError."""
    try:
        return awsmodel.check(awsmodel.service(service).operation_model(operation), ask)
    except awsmodel.WrongTypeError as error:
        raise AwsError("SerializationException", str(error)) from None
    except awsmodel.ConstraintError as error:
        raise AwsError(_INVALID.get(service, "ValidationError"), str(error)) from None


def rest_json_error(
    code: str,
    status: int,
    message: str,
    headers: dict[str, str] | None = None,
) -> web.Response:
    """An error as AWS's JSON protocols give it: the code in a header and in the body."""
    return web.json_response(
        {"__type": code, "message": message, "Message": message},
        status=status,
        headers={"x-amzn-ErrorType": code, **(headers or {})},
    )
