"""A stored object as a response: conditional, in part, from the disk or from the bucket."""

import asyncio
import os
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import FileResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from imaging.errors import Refused
from imaging.jobs import storage
from imaging.storage import NotStored

# What a key names never changes, so nobody has to ask again.
_YEAR = 31_536_000
_RANGE = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))")


@dataclass(frozen=True, slots=True)
class File:
    """An object, and what it is to clients; ``etag`` is the same for the same bytes only."""

    key: str
    name: str
    media_type: str
    etag: str
    inline: bool


async def served(request: Request, file: File, seconds: int) -> Response:
    """Answer with the object, part of it, "not modified", or where the bucket serves it.

    ``seconds``: for how long such an address may work.
    """
    headers = {"ETag": f'"{file.etag}"', "Cache-Control": f"private, max-age={_YEAR}, immutable"}
    if _is_known(request, file.etag):
        return Response(status_code=304, headers=headers)
    if url := await asyncio.to_thread(_link, file, seconds):
        keep = {"Cache-Control": f"private, max-age={seconds // 2}"}
        return RedirectResponse(url, 307, keep)
    return await _local(request, file, headers)


def _link(file: File, seconds: int) -> str | None:
    return storage().link(
        file.key,
        seconds=seconds,
        filename=file.name,
        media_type=file.media_type,
        inline=file.inline,
    )


async def _local(request: Request, file: File, headers: dict[str, str]) -> Response:
    holding = storage().local(file.key)
    try:
        path = await asyncio.to_thread(holding.__enter__)
    except NotStored:
        raise Refused(404, "not_found", "There is no such file.") from None
    stat = await asyncio.to_thread(os.stat, path)
    response = _Held(
        path,
        holding,
        stat_result=stat,
        headers=headers,
        media_type=file.media_type,
        filename=file.name,
        content_disposition_type="inline" if file.inline else "attachment",
    )
    response.in_part = _wants_part(request, file.etag, stat.st_size)
    return response


class _Held(FileResponse):
    """Holds a local copy until it is sent, or the client has gone."""

    in_part = False

    def __init__(self, path: Path, holding: AbstractContextManager[Path], **options: Any) -> None:
        super().__init__(path, **options)
        self._holding = holding

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.in_part:
            # Several parts at once, and what is no range at all, may be ignored; so they are.
            scope = {**scope, "headers": [h for h in scope["headers"] if h[0] != b"range"]}
        try:
            await super().__call__(scope, receive, send)
        finally:
            # One file is removed at most, and nothing can be awaited for a client that has gone.
            self._holding.__exit__(None, None, None)


def _is_known(request: Request, etag: str) -> bool:
    known = request.headers.get("if-none-match", "")
    tags = {tag.strip().removeprefix("W/") for tag in known.split(",")}
    return bool(tags & {"*", f'"{etag}"'})


def _wants_part(request: Request, etag: str, size: int) -> bool:
    """Say whether one part is asked for; refuse one that the file does not have."""
    found = _RANGE.fullmatch(request.headers.get("range", ""))
    if found is None or request.headers.get("if-range", f'"{etag}"') != f'"{etag}"':
        return False
    first, last, suffix = found.groups()
    if first and last and int(last) < int(first):
        return False
    if int(suffix) == 0 if suffix else int(first) >= size:
        raise Refused(
            416,
            "range_not_satisfiable",
            "The file has no such bytes.",
            {"Content-Range": f"bytes */{size}"},
        )
    return True
