"""Addresses that work without a key, for a while: what stands in answers for files.

Only where API keys are asked for; elsewhere everybody may read everything, and addresses
stay as plain as they are.
"""

import hashlib
import hmac
import time
from functools import lru_cache
from urllib.parse import quote

from imaging.settings import settings


def link(path: str) -> str:
    """Give the address of a path of ours, which is not quoted yet."""
    if not settings().keys:
        return quote(path)
    expires = _expiry(int(time.time()))
    return f"{quote(path)}?expires={expires}&signature={signature_of(path, expires)}"


def signature_of(path: str, expires: int) -> str:
    """Sign an address until a moment (seconds since 1970)."""
    return hmac.new(_secret(), f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()


def _expiry(now: int) -> int:
    # Rounded down, so that a page that is loaded twice shows the same addresses, and the
    # browser the pictures that it has.  No link lives longer than the settings say.
    seconds = settings().link_seconds
    step = max(1, seconds // 4)
    return (now + seconds) // step * step


@lru_cache
def _secret() -> bytes:
    config = settings()
    if config.link_secret:
        return config.link_secret.get_secret_value().encode()
    # Slow on purpose: a link must not be a quick way to try guesses of the keys.
    keys = repr(sorted(config.keys.items())).encode()
    return hashlib.scrypt(keys, salt=b"imaging links", n=1 << 14, r=8, p=1)
