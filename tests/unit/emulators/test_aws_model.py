"""Every request that reaches an AWS emulator fits AWS's own model of it, or is refused as AWS does.

Held against botocore: its service models, the examples that it ships for them, and its validator.
"""

from __future__ import annotations

import json
import secrets
import time
from pathlib import Path
from typing import Any

import boto3
import botocore
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.serialize import QuerySerializer
from botocore.validate import ParamValidator

from emulators.aws import model as awsmodel
from emulators.client import Client
from tests.unit.emulators import aws_requests, otlp_data
from tests.unit.emulators.conftest import SETTINGS
from tests.unit.emulators.test_aws_bounds import FORM, send

UNCHECKED = Config(
    parameter_validation=False,
    inject_host_prefix=False,
    retries={"total_max_attempts": 1},
    proxies={},
    read_timeout=60,
)


def refusal(service: str, operation: str, params: dict[str, Any]) -> str:
    model = awsmodel.service(service).operation_model(operation)
    try:
        awsmodel.check(model, params)
    except (awsmodel.WrongTypeError, awsmodel.ConstraintError) as refused:
        return str(refused)
    return ""


def unchecked(emulators: Client, service: str) -> Any:
    """A client that sends whatever it is given."""
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=emulators.address("xray" if service == "xray" else "aws"),
        region_name="us-east-1",
        aws_access_key_id=SETTINGS.access_key_id,
        aws_secret_access_key=SETTINGS.secret_access_key,
        config=UNCHECKED,
    )


def test_what_fits_the_models_is_taken() -> None:
    requests = list(aws_requests.fitting())

    refused = [(one, refusal(one.service, one.operation, one.params)) for one in requests]

    assert [(one, why) for one, why in refused if why] == []
    assert len(requests) > 1_500


def test_each_constraint_of_the_models_is_held() -> None:
    requests = list(aws_requests.violating())

    refused = [(one, refusal(one.service, one.operation, one.params)) for one in requests]

    assert [one for one, why in refused if "failed to satisfy constraint" not in why] == []
    assert len(requests) > 3_700
    patterns = [why for _, why in refused if "regular expression pattern" in why]
    assert len(patterns) > 600


def test_what_botocore_refuses_is_refused() -> None:
    """It knows types, what is required, and lower bounds; the emulators know those as well."""
    compared = 0
    for one in aws_requests.violating():
        shape = aws_requests.model(one.service).operation_model(one.operation).input_shape
        assert shape is not None
        if ParamValidator().validate(one.params, shape).has_errors():
            assert refusal(one.service, one.operation, one.params), one
            compared += 1
    assert compared > 1_500


def test_the_examples_that_aws_publishes_are_taken() -> None:
    taken = 0
    for service in aws_requests.SERVICES:
        [*files] = (Path(botocore.__file__).parent / "data" / service).glob("*/examples-1.json")
        for file in files:
            for operation, examples in json.loads(file.read_text())["examples"].items():
                for example in examples:
                    # Times are texts there, which clients send as numbers.
                    assert refusal(service, operation, example.get("input", {})) == "", example
                    taken += 1
    assert taken > 50


def test_every_operation_refuses_what_its_model_does_not_allow(emulators: Client) -> None:
    """Over HTTP, in each protocol, by clients that check nothing themselves."""
    clients = {service: unchecked(emulators, service) for service in aws_requests.SERVICES}
    first: dict[tuple[str, str], aws_requests.Request] = {}
    for one in aws_requests.violating():
        # Two of STS's are for who has no key yet: here each request is signed.
        if aws_requests.model(one.service).operation_model(one.operation).auth_type != "none":
            first.setdefault((one.service, one.operation), one)

    for one in first.values():
        with pytest.raises(ClientError) as refused:
            clients[one.service]._make_api_call(one.operation, one.params)
        error = refused.value.response
        assert "failed to satisfy constraint" in error["Error"]["Message"], one
        assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
        assert "Invalid" in error["Error"]["Code"] or error["Error"]["Code"] == "ValidationError"

    assert len(first) > 450


@pytest.mark.parametrize(
    ("stream", "taken"),
    [
        ("unknown_service:java", False),
        ("job-*", False),
        ("", False),
        ("x" * 513, False),
        ("unknown_service", True),
        ("été 7 (a/b)", True),
        ("x" * 512, True),
    ],
)
def test_the_names_of_log_streams(
    emulators: Client, group: str, stream: str, *, taken: bool
) -> None:
    logs = unchecked(emulators, "logs")
    where = {"logGroupName": group, "logStreamName": stream}
    event = {"timestamp": int(time.time() * 1000), "message": "a"}
    otlp = {"x-aws-log-group": group, "x-aws-log-stream": stream.encode().decode("latin-1")}
    if taken:
        logs.create_log_stream(**where)
        logs.put_log_events(**where, logEvents=[event])
        return
    for call, ask in (
        (logs.create_log_stream, where),
        (logs.put_log_events, {**where, "logEvents": [event]}),
    ):
        with pytest.raises(ClientError, match="at 'logStreamName' failed") as refused:
            call(**ask)
        assert refused.value.response["Error"]["Code"] == "InvalidParameterException"
    headers = {"Content-Type": "application/x-protobuf", **otlp}
    body = otlp_data.logs(secrets.token_hex(16))
    assert send(emulators, "logs", headers, body, path="/v1/logs").status_code == 400


STREAM = "worker/main/arn:aws:ecs:us-east-1:957221700844:task/cedfef6d-46b3-426e-98a1-e0676a5fed2b"


@pytest.mark.parametrize(
    ("operation", "ask", "value", "constraint"),
    [
        # cisagov/crossfeed#374
        (
            "GetLogEvents",
            {"logGroupName": "g", "logStreamName": STREAM},
            f"Value '{STREAM}' at 'logStreamName'",
            "Member must satisfy regular expression pattern: [^:*]*",
        ),
        # serverless/serverless#4850
        (
            "FilterLogEvents",
            {"logGroupName": "g", "logStreamNames": []},
            "Value '[]' at 'logStreamNames'",
            "Member must have length greater than or equal to 1",
        ),
    ],
)
def test_the_words_are_those_of_aws(
    operation: str, ask: dict[str, Any], value: str, constraint: str
) -> None:
    """As users reported them of AWS itself."""
    assert refusal("logs", operation, ask) == (
        f"1 validation error detected: {value} failed to satisfy constraint: {constraint}"
    )


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("Action=GetSessionToken&DurationSeconds=soon", "MalformedInput"),
        ("Action=GetSessionToken&DurationSeconds=1&DurationSeconds.x=1", "MalformedInput"),
        ("Action=GetSessionToken&DurationSeconds=1", "ValidationError"),
        ("Action=AssumeRole&RoleSessionName=a+b&RoleArn=arn:aws:iam::1:role/a", "ValidationError"),
        ("Action=AssumeRole&RoleSessionName=ab&RoleArn=a", "ValidationError"),
        ("Action=AssumeRole&Tags.member=1", "MalformedInput"),
        ("Action=AssumeRole&Tags.member.one.Key=1", "MalformedInput"),
    ],
)
def test_forms_of_the_query_protocol(emulators: Client, body: str, code: str) -> None:
    answer = send(emulators, "sts", FORM, f"{body}&Version=2011-06-15".encode())

    assert answer.status_code == 400
    assert f"<Code>{code}</Code>" in answer.text


def test_a_form_says_what_the_client_meant() -> None:
    """There by the serializer of botocore, back by the reader of the emulators."""
    read = 0
    for one in aws_requests.fitting():
        if aws_requests.model(one.service).protocol != "query":
            continue
        operation = aws_requests.model(one.service).operation_model(one.operation)
        form = QuerySerializer().serialize_to_request(one.params, operation)["body"]
        sent = {key: str(value) for key, value in form.items()}
        del sent["Action"], sent["Version"]
        if "{}" in str(one.params):
            continue  # a form has no word for an empty structure
        assert awsmodel.from_query(operation, sent) == one.params
        read += 1
    assert read > 750
