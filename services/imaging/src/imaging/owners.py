"""Who asks: an API key in a header, or the session that the page got for one.

Without keys in the settings everybody is the same nobody, and may do everything.
"""

import hashlib
import hmac
import re
import time
from typing import Annotated

from fastapi import Depends
from fastapi.security import APIKeyCookie, APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from imaging.errors import Refused
from imaging.settings import settings

COOKIE = "imaging_session"
SESSION_SECONDS = 12 * 3600

_bearer = HTTPBearer(auto_error=False, description="An API key.")
_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="An API key.")
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="What `POST /session` sets.")


async def visitor(
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    header: Annotated[str | None, Depends(_header)],
    cookie: Annotated[str | None, Depends(_cookie)],
) -> str | None:
    """Give the owner who asks; None for a stranger, and for everybody where no key is asked for."""
    for key in (bearer.credentials if bearer else None, header):
        if key is not None:
            return owner_of(key)
    return _owner_of_session(cookie) if cookie else None


async def asker(owner: Annotated[str | None, Depends(visitor)]) -> str | None:
    """Give the owner who asks; a stranger is refused."""
    if owner is None and settings().keys:
        raise unauthorized()
    return owner


Visitor = Annotated[str | None, Depends(visitor)]
Asker = Annotated[str | None, Depends(asker)]


def unauthorized() -> Refused:
    """Answer for a key that is missing or wrong."""
    return Refused(
        401,
        "unauthorized",
        "Send an API key: `Authorization: Bearer …` or `X-API-Key: …`.",
        {"WWW-Authenticate": "Bearer"},
    )


def owner_of(key: str) -> str | None:
    """Find the owner of a key, in a time that tells nothing of the keys there are."""
    found = None
    for owner, known in settings().keys.items():
        if hmac.compare_digest(known.encode(), key.encode()):
            found = owner
    return found


def new_session(owner: str) -> str:
    """Make the cookie of an owner.  It holds no key, and ends with the key that it was made of."""
    expires = int(time.time()) + SESSION_SECONDS
    return f"{owner}.{expires}.{_signature(owner, expires)}"


def _owner_of_session(cookie: str) -> str | None:
    owner, _, rest = cookie.partition(".")
    expires, _, signature = rest.partition(".")
    # A number of thousands of digits is no time, and Python would refuse to read it.
    if owner not in settings().keys or not re.fullmatch(r"[0-9]{1,12}", expires):
        return None
    right = hmac.compare_digest(_signature(owner, int(expires)).encode(), signature.encode())
    return owner if right and int(expires) > time.time() else None


def _signature(owner: str, expires: int) -> str:
    key = settings().keys[owner].encode()
    return hmac.new(key, f"session {owner} {expires}".encode(), hashlib.sha256).hexdigest()
