"""Addresses that work without a key, for a while: what stands in answers for files.

Only where API keys are asked for; elsewhere everybody may read everything, and addresses
stay as plain as they are.
"""

import hashlib
import hmac
import time
from functools import lru_cache
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Query, Request

from imaging.owners import Visitor, unauthorized
from imaging.settings import settings


def link(path: str) -> str:
    """Give the address of a path of ours, which is not quoted yet."""
    if not settings().keys:
        return quote(path)
    expires = _expiry(int(time.time()))
    return f"{quote(path)}?expires={expires}&signature={_signature(path, expires)}"


def seconds_left(expires: int) -> int:
    """Say for how long a link that ends then may be handed on."""
    return max(1, expires - int(time.time()))


async def allowed(
    request: Request,
    owner: Visitor,
    expires: Annotated[int | None, Query(ge=0, le=1 << 40)] = None,
    signature: Annotated[str | None, Query(max_length=64)] = None,
) -> "Reader":
    """Let an owner in, and whoever has a link that was signed; refuse all others."""
    if expires is not None and signature is not None and _valid(request, expires, signature):
        return Reader(None, anybody=True)
    if owner is None and settings().keys:
        raise unauthorized()
    return Reader(owner, anybody=False)


class Reader:
    """Whose files may be read: an owner's, or with a signed link the one that it names."""

    def __init__(self, owner: str | None, *, anybody: bool) -> None:
        self.owner = owner
        self.anybody = anybody


Allowed = Annotated[Reader, Depends(allowed)]


def _expiry(now: int) -> int:
    # Rounded down, so that a page that is loaded twice shows the same addresses, and the
    # browser the pictures that it has.  No link lives longer than the settings say.
    seconds = settings().link_seconds
    step = max(1, seconds // 4)
    return (now + seconds) // step * step


def _valid(request: Request, expires: int, signature: str) -> bool:
    right = _signature(request.scope["path"], expires)
    return expires >= time.time() and hmac.compare_digest(right.encode(), signature.encode())


def _signature(path: str, expires: int) -> str:
    return hmac.new(_secret(), f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()


@lru_cache
def _secret() -> bytes:
    config = settings()
    if config.link_secret:
        return config.link_secret.encode()
    # Slow on purpose: a link must not be a quick way to try guesses of the keys.
    return hashlib.scrypt(config.api_keys.encode(), salt=b"imaging links", n=1 << 14, r=8, p=1)
