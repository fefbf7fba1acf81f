"""Who may read a file: its owner, or whoever has an address of it that was signed."""

import hmac
import time
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request

from imaging.links import signature_of
from imaging.owners import Visitor, unauthorized
from imaging.settings import settings


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
        right = signature_of(request.scope["path"], expires)
        if hmac.compare_digest(right.encode(), signature.encode()):
            return Reader(None, expires - now, anybody=True)
    if owner is None and settings().keys:
        raise unauthorized()
    return Reader(owner, settings().link_seconds)


Allowed = Annotated[Reader, Depends(reader)]
