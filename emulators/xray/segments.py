"""Segment documents against their documented shape."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from emulators.core import strict_json, trace_ids

# A document's bytes, documents in a put, annotations in a trace.
MAX_BYTES = 64 * 1024
MAX_DOCUMENTS = 50
MAX_ANNOTATIONS = 50

_Id = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
_TraceId = Annotated[str, Field(pattern=rf"^{trace_ids.XRAY.pattern}$")]
# Letters, numbers, white space and _ . : / % & # = + \ - @
_Name = Annotated[
    str,
    Field(min_length=1, max_length=200, pattern=r"^[\p{L}\p{N}\p{Z}_.:/%&#=+\\\-@]+$"),
]
_Seconds = Annotated[StrictFloat | StrictInt, Field(ge=0)]
_AnnotationKey = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[A-Za-z0-9_.]+$")]
_AnnotationValue = (
    Annotated[StrictStr, Field(max_length=1000)] | StrictBool | StrictInt | StrictFloat
)


class _Part(BaseModel):
    # Members that the documents do not name are passed over, as X-Ray does.
    model_config = ConfigDict(extra="ignore")


class HttpRequest(_Part):
    """What was asked for."""

    method: StrictStr | None = None
    url: StrictStr | None = None
    user_agent: StrictStr | None = None
    client_ip: StrictStr | None = None
    x_forwarded_for: StrictBool | None = None
    traced: StrictBool | None = None


class HttpResponse(_Part):
    """What came back."""

    status: StrictInt | None = Field(default=None, ge=0, le=999)
    content_length: StrictInt | None = Field(default=None, ge=0)


class Http(_Part):
    """The request that a segment served, or that a subsegment made."""

    request: HttpRequest | None = None
    response: HttpResponse | None = None


class ExceptionDetail(_Part):
    """One exception of a cause."""

    id: _Id | None = None
    message: StrictStr | None = None
    type: StrictStr | None = None
    remote: StrictBool | None = None
    truncated: StrictInt | None = None
    skipped: StrictInt | None = None
    cause: _Id | None = None
    stack: list[dict[str, Any]] | None = None


class Cause(_Part):
    """Why a segment failed."""

    working_directory: StrictStr | None = None
    paths: list[StrictStr] | None = None
    exceptions: list[ExceptionDetail] | None = None


class Timed(_Part):
    """What segments and subsegments share."""

    id: _Id
    name: _Name
    start_time: _Seconds
    end_time: _Seconds | None = None
    in_progress: StrictBool | None = None
    http: Http | None = None
    aws: dict[str, Any] | None = None
    error: StrictBool | None = None
    throttle: StrictBool | None = None
    fault: StrictBool | None = None
    cause: _Id | Cause | None = None
    annotations: dict[_AnnotationKey, _AnnotationValue] | None = Field(
        default=None,
        max_length=MAX_ANNOTATIONS,
    )
    metadata: dict[str, Any] | None = None
    subsegments: list[Subsegment] | None = None

    @model_validator(mode="after")
    def _ended_or_in_progress(self) -> Timed:
        if self.end_time is None and not self.in_progress:
            raise ValueError("needs end_time, or in_progress true")
        if self.end_time is not None and self.in_progress:
            raise ValueError("in_progress and end_time exclude each other")
        if self.end_time is not None and self.end_time < self.start_time:
            raise ValueError("end_time is before start_time")
        return self


class Subsegment(Timed):
    """Work inside a segment."""

    namespace: Literal["aws", "remote"] | None = None
    sql: dict[str, Any] | None = None
    precursor_ids: list[_Id] | None = None
    traced: StrictBool | None = None


class IndependentSubsegment(Subsegment):
    """A subsegment in a document of its own."""

    type: Literal["subsegment"]
    trace_id: _TraceId
    parent_id: _Id


class Segment(Timed):
    """A whole segment."""

    type: None = None
    trace_id: _TraceId
    parent_id: _Id | None = None
    service: dict[str, Any] | None = None
    user: Annotated[StrictStr, Field(max_length=250)] | None = None
    origin: StrictStr | None = None


Document = Segment | IndependentSubsegment
_SEGMENT = TypeAdapter(Segment)
_SUBSEGMENT = TypeAdapter(IndependentSubsegment)
_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Unprocessed:
    """A document that was not taken, as PutTraceSegments reports it."""

    code: str
    message: str
    id: str | None = None

    def as_dict(self) -> dict[str, str]:
        """The member of UnprocessedTraceSegments."""
        entry = {"ErrorCode": self.code, "Message": self.message}
        return entry if self.id is None else {"Id": self.id, **entry}


def parse(document: str) -> Document | Unprocessed:
    """The segment or independent subsegment in `document`, or why it is not taken."""
    # JSON may escape halves of characters, which have no UTF-8.
    size = len(document.encode(errors="replace"))
    if size > MAX_BYTES:
        return Unprocessed("SegmentTooLarge", f"{size} bytes, limit {MAX_BYTES}")
    try:
        tree = strict_json.loads(document)
    except ValueError as error:
        return Unprocessed("JSONFormatError", str(error))
    if not isinstance(tree, dict):
        return Unprocessed("JSONFormatError", "a segment document is a JSON object")
    found = tree.get("id")
    identifier = found if isinstance(found, str) and _ID.fullmatch(found) else None
    adapter: TypeAdapter[Any] = _SEGMENT if tree.get("type") is None else _SUBSEGMENT
    try:
        parsed: Document = adapter.validate_python(tree)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        code = "MissingParameter" if first["type"] == "missing" else "InvalidParameter"
        return Unprocessed(code, f"{where}: {first['msg']}".lstrip(": "), identifier)
    return parsed


def hex_trace_id(trace_id: str) -> str:
    """`1-<8>-<24>` as the 32 hex digits that everyone else writes."""
    return trace_id[2:10] + trace_id[11:]


def xray_trace_id(trace_id: str) -> str:
    """32 hex digits as `1-<8>-<24>`."""
    return f"1-{trace_id[:8]}-{trace_id[8:]}"


def all_parts(document: Timed) -> list[Timed]:
    """The document and its subsegments, at any depth."""
    parts: list[Timed] = [document]
    for part in parts:
        parts.extend(part.subsegments or ())
    return parts
