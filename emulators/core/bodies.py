"""Request bodies, read and decompressed inside bounds."""

from __future__ import annotations

import io
import zlib

import zstandard
from aiohttp import web

_SENT = web.RequestKey("sent", bytes)


class BodyError(Exception):
    """A body that is refused: `status` is the answer, the text says why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


async def read(request: web.Request, limit: int) -> bytes:
    """The body as it was sent, however often it is asked for.

    Raises BodyError(413) past `limit` bytes.
    """
    if _SENT in request:
        return request[_SENT]
    if request.content_length is not None and request.content_length > limit:
        raise BodyError(413, f"request body of {request.content_length} bytes, limit {limit}")
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > limit:
            raise BodyError(413, f"request body exceeds {limit} bytes")
        chunks.append(chunk)
    request[_SENT] = b"".join(chunks)
    return request[_SENT]


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """`body` without its Content-Encoding (none, identity, gzip, zstd).

    Never holds more than `limit` bytes of output, so a bomb costs no memory. Raises BodyError: 415
    for another encoding, 400 for garbage, 413 past the limit.
    """
    match encoding.strip().lower():
        case "" | "identity":
            plain = body
        case "gzip":
            plain = _gunzip(body, limit)
        case "zstd":
            plain = _unzstd(body, limit)
        case _:
            raise BodyError(415, f"unsupported content encoding {encoding!r}")
    if len(plain) > limit:
        raise BodyError(413, f"decompressed body exceeds {limit} bytes")
    return plain


def _gunzip(body: bytes, limit: int) -> bytes:
    stream = zlib.decompressobj(wbits=31)
    try:
        plain = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise BodyError(400, f"invalid gzip body: {error}") from None
    if not stream.eof and len(plain) <= limit:
        raise BodyError(400, "invalid gzip body: it ends early")
    return plain


def _unzstd(body: bytes, limit: int) -> bytes:
    try:
        with zstandard.ZstdDecompressor(max_window_size=8 * 1024 * 1024).stream_reader(
            io.BytesIO(body),
        ) as stream:
            return stream.read(limit + 1)
    except zstandard.ZstdError as error:
        raise BodyError(400, f"invalid zstd body: {error}") from None
