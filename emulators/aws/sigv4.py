"""AWS Signature Version 4, verified: the signature is computed again with botocore's own signer."""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.client import HTTPMessage

from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 +Credential=(?P<key>[^/,\s]+)/(?P<date>\d{8})/(?P<region>[a-z0-9-]+)/"
    r"(?P<service>[a-z0-9-]+)/aws4_request,? *SignedHeaders=(?P<signed>[^,\s]+),? *"
    r"Signature=(?P<signature>[0-9a-f]{64})",
)
# AWS's own tolerance.
MAX_SKEW = timedelta(minutes=5)


class SignatureError(Exception):
    """A request that is not let in. `code` is AWS's error code for JSON protocols, status 403."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed, for which service and region."""

    access_key: str
    region: str
    service: str


class _Signer(SigV4Auth):
    """Signs exactly the headers that the client says it signed, whatever botocore would choose."""

    def __init__(self, credentials: Credentials, caller: Caller, signed: Collection[str]) -> None:
        super().__init__(credentials, caller.service, caller.region)
        self._signed = signed

    def headers_to_sign(self, request: AWSRequest) -> HTTPMessage:
        chosen = HTTPMessage()
        for name, value in request.headers.items():
            if name.lower() in self._signed:
                chosen[name.lower()] = value
        return chosen


def verify(  # noqa: PLR0917 - a request has that many parts
    method: str,
    raw_path: str,
    headers: Mapping[str, str],
    body: bytes,
    keys: Mapping[str, str],
    services: Collection[str],
    now: datetime | None = None,
) -> Caller:
    """Who signed this request.

    `raw_path` is the path and query as sent, `keys` maps access key to secret, `services` are the
    signing names that may be called here. Raises SignatureError.
    """
    authorization = headers.get("Authorization", "")
    if not authorization:
        raise SignatureError("MissingAuthenticationTokenException", "Missing Authentication Token")
    parts = _AUTHORIZATION.fullmatch(authorization.strip())
    if parts is None:
        raise SignatureError(
            "IncompleteSignatureException",
            "Authorization header is not AWS4-HMAC-SHA256 with Credential, SignedHeaders and "
            "Signature",
        )
    caller = Caller(parts["key"], parts["region"], parts["service"])
    secret = keys.get(caller.access_key)
    if secret is None:
        raise SignatureError(
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        )
    if caller.service not in services:
        raise SignatureError(
            "InvalidSignatureException",
            f"Credential should be scoped to correct service: {' or '.join(sorted(services))}, "
            f"not {caller.service}",
        )
    signed_at = _signed_at(headers, parts["date"], now or datetime.now(UTC))
    signed = parts["signed"].split(";")
    if "host" not in signed:
        raise SignatureError("InvalidSignatureException", "'Host' must be a signed header")
    declared = headers.get("X-Amz-Content-SHA256")
    if declared is not None and declared != sha256(body).hexdigest():
        raise SignatureError(
            "InvalidSignatureException",
            "X-Amz-Content-SHA256 is not the digest of the body",
        )
    try:
        expected = _signature(method, raw_path, headers, body, secret, caller, signed, signed_at)
    except UnicodeError:
        raise SignatureError(
            "IncompleteSignatureException",
            "a signed header is no valid UTF-8",
        ) from None
    if not hmac.compare_digest(expected, parts["signature"]):
        raise SignatureError(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. Check "
            "your AWS Secret Access Key and signing method.",
        )
    return caller


def _signed_at(headers: Mapping[str, str], date: str, now: datetime) -> str:
    stamp = headers.get("X-Amz-Date", "")
    try:
        when = datetime.strptime(stamp, SIGV4_TIMESTAMP).replace(tzinfo=UTC)
    except ValueError:
        raise SignatureError(
            "IncompleteSignatureException",
            f"X-Amz-Date {stamp!r} is no timestamp",
        ) from None
    if not stamp.startswith(date):
        raise SignatureError(
            "InvalidSignatureException",
            "Date in Credential scope does not match X-Amz-Date",
        )
    if abs(now - when) > MAX_SKEW:
        raise SignatureError(
            "InvalidSignatureException",
            f"Signature expired: {stamp} is more than {MAX_SKEW.seconds // 60} minutes from "
            f"{now.strftime(SIGV4_TIMESTAMP)}",
        )
    return stamp


def _signature(  # noqa: PLR0917 - as verify
    method: str,
    raw_path: str,
    headers: Mapping[str, str],
    body: bytes,
    secret: str,
    caller: Caller,
    signed: Collection[str],
    signed_at: str,
) -> str:
    # http, so that botocore always covers the payload.
    request = AWSRequest(method, f"http://{headers.get('Host', '')}{raw_path}", data=body)
    for name, value in headers.items():
        request.headers[name] = value
    request.context["timestamp"] = signed_at
    signer = _Signer(Credentials(caller.access_key, secret), caller, frozenset(signed))
    text = signer.string_to_sign(request, signer.canonical_request(request))
    return signer.signature(text, request)
