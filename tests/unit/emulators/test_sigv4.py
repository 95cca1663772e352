"""Signatures: botocore's own are taken, and each thing that a thief could change is noticed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from emulators.aws import sigv4

KEYS = {"key": "secret"}
SERVICES = {"xray", "logs"}


def signed(headers: dict[str, str] | None = None) -> dict[str, str]:
    """The headers of a request as botocore signs it."""
    url = "http://localhost:4582/TraceSegments?b=2&a=1%2F2"
    request = AWSRequest("POST", url, data=b"{}", headers=headers or {})
    SigV4Auth(Credentials("key", "secret"), "xray", "us-east-1").add_auth(request)
    return {**dict(request.headers.items()), "Host": "localhost:4582"}


def verify(headers: dict[str, str], **changes: Any) -> sigv4.Caller:
    request: dict[str, Any] = {
        "method": "POST",
        "raw_path": "/TraceSegments?b=2&a=1%2F2",
        "headers": headers,
        "body": b"{}",
        "keys": KEYS,
        "services": SERVICES,
    }
    return sigv4.verify(**{**request, **changes})


def test_botocores_signature_is_taken() -> None:
    assert verify(signed()) == sigv4.Caller("key", "us-east-1", "xray")


def test_headers_that_are_not_signed_may_change_on_the_way() -> None:
    assert verify({**signed(), "Via": "a proxy", "X-Forwarded-For": "10.0.0.1"})


def test_a_digest_of_the_body_may_be_declared() -> None:
    digest = sha256(b"{}").hexdigest()
    assert verify(signed({"X-Amz-Content-SHA256": digest}))


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "PUT"},
        {"raw_path": "/TraceSegments?b=2&a=1"},
        {"raw_path": "/GetGroup?b=2&a=1%2F2"},
        {"body": b"{ }"},
        {"keys": {"key": "other"}},
    ],
)
def test_a_change_breaks_the_signature(changes: dict[str, Any]) -> None:
    with pytest.raises(sigv4.SignatureError, match="does not match") as refused:
        verify(signed(), **changes)
    assert refused.value.code == "InvalidSignatureException"


def test_a_changed_header_breaks_the_signature() -> None:
    headers = signed({"X-Amz-Target": "Logs_20140328.PutLogEvents"})
    assert verify(headers)
    headers["X-Amz-Target"] = "Logs_20140328.DeleteLogGroup"
    with pytest.raises(sigv4.SignatureError, match="does not match"):
        verify(headers)


def test_a_declared_digest_must_be_the_bodys() -> None:
    for declared in ("UNSIGNED-PAYLOAD", sha256(b"other").hexdigest()):
        with pytest.raises(sigv4.SignatureError, match="digest"):
            verify(signed({"X-Amz-Content-SHA256": declared}))


@pytest.mark.parametrize("minutes", [-6, 6])
def test_an_old_or_future_signature_is_refused(minutes: int) -> None:
    now = datetime.now(UTC)
    assert verify(signed(), now=now + timedelta(minutes=minutes * 2 / 3))
    with pytest.raises(sigv4.SignatureError, match="Signature expired"):
        verify(signed(), now=now + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("find", "put", "code", "why"),
    [
        ("Credential=key/", "Credential=nobody/", "UnrecognizedClientException", "token"),
        ("/xray/", "/dynamodb/", "InvalidSignatureException", "correct service"),
        ("/us-east-1/", "/eu-west-1/", "InvalidSignatureException", "does not match"),
        ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1", "IncompleteSignatureException", "AWS4-HMAC-SHA256"),
        ("host;", "", "InvalidSignatureException", "'Host' must be"),
        ("Signature=", "Signature=g", "IncompleteSignatureException", "Signature"),
    ],
)
def test_a_changed_authorization_is_refused(find: str, put: str, code: str, why: str) -> None:
    headers = signed()
    headers["Authorization"] = headers["Authorization"].replace(find, put)
    with pytest.raises(sigv4.SignatureError, match=why) as refused:
        verify(headers)
    assert refused.value.code == code


def test_the_dates_must_agree() -> None:
    headers = signed()
    signed_on = headers["X-Amz-Date"][:8]
    headers["Authorization"] = headers["Authorization"].replace(f"/{signed_on}/", "/20200101/")
    with pytest.raises(sigv4.SignatureError, match="Date in Credential scope"):
        verify(headers)


@pytest.mark.parametrize(
    ("gone", "code"),
    [
        ("Authorization", "MissingAuthenticationTokenException"),
        ("X-Amz-Date", "IncompleteSignatureException"),
    ],
)
def test_a_missing_header_is_named(gone: str, code: str) -> None:
    headers = signed()
    del headers[gone]
    with pytest.raises(sigv4.SignatureError) as refused:
        verify(headers)
    assert refused.value.code == code
