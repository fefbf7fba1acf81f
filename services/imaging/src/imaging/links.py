"""Addresses that work without a key, for a while: what stands in answers for files.

Only where API keys are asked for; elsewhere everybody may read everything, and addresses
stay as plain as they are.
"""

import hashlib
import hmac
import time
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Reader:
    """Whose files may be read: an owner's, or with a signed link the one that it names.

    ``seconds``: how much longer an address that is handed on may work.
    """

    owner: str | None
    seconds: int
    anybody: bool = False


async def reader(
    request: Request,
    owner: Visitor,
    expires: Annotated[int | None, Query(ge=0, le=1 << 40)] = None,
    signature: Annotated[str | None, Query(max_length=64)] = None,
) -> Reader:
    """Let an owner in, and whoever has a link that was signed; refuse all others."""
    now = int(time.time())
    if expires is not None and signature is not None and expires > now:
        right = _signature(request.scope["path"], expires)
        if hmac.compare_digest(right.encode(), signature.encode()):
            return Reader(None, expires - now, anybody=True)
    if owner is None and settings().keys:
        raise unauthorized()
    return Reader(owner, settings().link_seconds)


Allowed = Annotated[Reader, Depends(reader)]


def _expiry(now: int) -> int:
    # Rounded down, so that a page that is loaded twice shows the same addresses, and the
    # browser the pictures that it has.  No link lives longer than the settings say.
    seconds = settings().link_seconds
    step = max(1, seconds // 4)
    return (now + seconds) // step * step


def _signature(path: str, expires: int) -> str:
    return hmac.new(_secret(), f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()


@lru_cache
def _secret() -> bytes:
    config = settings()
    if config.link_secret:
        return config.link_secret.get_secret_value().encode()
    # Slow on purpose: a link must not be a quick way to try guesses of the keys.
    keys = repr(sorted(config.keys.items())).encode()
    return hashlib.scrypt(keys, salt=b"imaging links", n=1 << 14, r=8, p=1)
