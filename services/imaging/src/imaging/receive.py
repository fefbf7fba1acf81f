"""A body, streamed to files of ours while its bytes are counted and hashed.

Starlette's form parser would spool files of any size before the first line of ours runs;
this one knows the limits, keeps no part in memory and writes where the file will stay.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from imaging.errors import Refused, refused

# Parsing and writing happen in a thread; a hop for each 64 KiB that arrives would cost
# more than the work.
_FEED_BYTES = 1 << 20
# Room for the boundaries and headers of the parts.
_OVERHEAD_BYTES = 1 << 20


@dataclass(slots=True)
class Part:
    """One file of the body.  ``too_large``: its bytes were counted and dropped."""

    path: Path
    filename: str
    size: int = 0
    too_large: bool = False
    digest: Any = field(default_factory=hashlib.sha256)

    @property
    def sha256(self) -> str:
        """The name of these bytes."""
        return str(self.digest.hexdigest())


class Body:
    """The parser's callbacks, and the files they fill.  Not thread-safe, never shared."""

    def __init__(
        self,
        boundary: bytes,
        temporary: Callable[[], Path],
        *,
        max_bytes: int,
        max_files: int,
        fields: frozenset[str],
    ) -> None:
        self.parts: list[Part] = []
        self._temporary = temporary
        self._max_bytes = max_bytes
        self._max_files = max_files
        self._fields = fields
        self._file: BinaryIO | None = None
        self._name = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._complete = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._open,
                "on_part_data": self._data,
                "on_part_end": self.close,
                "on_end": self._end,
            },
        )

    def feed(self, pieces: list[bytes]) -> None:
        """Take the next bytes of the body."""
        for piece in pieces:
            self._parser.write(piece)

    def finish(self) -> None:
        """Take note that no more will come; a body without its last boundary was cut off."""
        self._parser.finalize()
        if not self._complete:
            raise _broken()

    def close(self) -> None:
        """Close the file that is being written, if there is one."""
        if self._file:
            self._file.close()
            self._file = None

    def discard(self) -> None:
        """Remove whatever nobody has taken over."""
        self.close()
        for part in self.parts:
            part.path.unlink(missing_ok=True)

    def _begin(self) -> None:
        self._headers = {}

    def _end(self) -> None:
        self._complete = True

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _open(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        field = options.get(b"name", b"").decode("utf-8", "replace")
        # A field of the right name that holds text is not a file; other fields may be
        # there for other readers, and are passed over.
        if field not in self._fields or b"filename" not in options:
            return
        if len(self.parts) == self._max_files:
            raise Refused(422, "too_many_files", f"At most {self._max_files} files at a time.")
        filename = options[b"filename"].decode("utf-8", "replace")
        self.parts.append(Part(self._temporary(), filename))
        self._file = self.parts[-1].path.open("wb")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if not self._file:
            return
        part = self.parts[-1]
        part.size += end - start
        if part.size > self._max_bytes:
            # The other files of this body are still wanted, so it is read on.
            part.too_large = True
            self.close()
            part.path.write_bytes(b"")
            return
        piece = memoryview(data)[start:end]
        part.digest.update(piece)
        self._file.write(piece)


def open_body(
    request: Request, temporary: Callable[[], Path], *, max_bytes: int, max_files: int
) -> Body:
    """Prepare to read this request's body, or refuse what is not a form with files."""
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise Refused(
            415, "not_multipart", "Send the picture as multipart form data, in the field `file`."
        )
    try:
        return Body(
            boundary,
            temporary,
            max_bytes=max_bytes,
            max_files=max_files,
            fields=frozenset({"file", "files"}),
        )
    except FormParserError as error:
        raise _broken() from error


async def read_body(
    request: Request, body: Body, *, max_bytes: int, max_files: int, seconds: float
) -> None:
    """Stream the whole body into its files."""
    most = max_bytes * max_files + _OVERHEAD_BYTES
    try:
        async with aclosing(_pieces(request, most, seconds)) as pieces:
            async for some in pieces:
                await asyncio.to_thread(body.feed, some)
        body.finish()
    except FormParserError as error:
        raise _broken() from error
    finally:
        with suppress(OSError):
            body.close()


async def read_raw(request: Request, part: Part, *, max_bytes: int, seconds: float) -> None:
    """Stream a body that is nothing but the picture into its file."""
    with part.path.open("wb") as file:

        def keep(some: list[bytes]) -> None:
            for piece in some:
                part.size += len(piece)
                part.digest.update(piece)
                file.write(piece)

        async with aclosing(_pieces(request, max_bytes, seconds)) as pieces:
            async for some in pieces:
                await asyncio.to_thread(keep, some)


async def _pieces(request: Request, most: int, seconds: float) -> AsyncGenerator[list[bytes]]:
    """Yield the body in pieces, several at a time: as many as are worth a hop to a thread.

    Counted here and not taken from Content-Length, which is a claim, and absent from a
    chunked body.
    """
    # An honest client of a hopeless upload is told before it has sent a byte.
    if int(request.headers.get("content-length", 0)) > most:
        raise _too_much(most)
    total = held = 0
    waiting: list[bytes] = []
    async with aclosing(_arriving(request, seconds)) as chunks:
        async for chunk in chunks:
            total += len(chunk)
            if total > most:
                raise _too_much(most)
            waiting.append(chunk)
            if total - held >= _FEED_BYTES:
                yield waiting
                waiting, held = [], total
    yield waiting


async def _arriving(request: Request, seconds: float) -> AsyncGenerator[bytes]:
    """Yield what arrives; a client that is silent for so many seconds is given up.

    Otherwise some thousand clients that never end their sentence would hold every
    connection and file that this process may open.
    """
    stream = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(seconds):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise _silent(seconds) from None
        if chunk is None:
            return
        yield chunk


def _silent(seconds: float) -> Refused:
    detail = f"Nothing has come for {seconds:g} seconds, so the upload was given up."
    return Refused(408, "upload_timeout", detail, {"Connection": "close"})


def _too_much(most: int) -> Refused:
    return Refused(413, "too_large", f"At most {most / 1e6:g} MB are accepted at a time.")


def _broken() -> Refused:
    return refused("bad_request")
