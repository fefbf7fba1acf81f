"""The stored objects of a picture, which all uploads of the same bytes share.

An upload stores them before there is a job that says so, and whoever removes them looks for
jobs first.  Between such a look and the deed, an upload could slip in and lose its
original; so both hold the picture's lock.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from math import inf

from imaging.jobs import queue, storage
from imaging.manifest import original_key, outputs_prefix
from imaging.marks import remaining

_PAGE = 50
# It is extended meanwhile.  So long does the next upload of a picture wait if a process was killed
# over one; a shorter one could run out on a disk that is slow to sync.
_HELD_SECONDS = 10.0
_FOLDERS = ("originals", "outputs")
_KEY = re.compile(r"(?:originals|outputs)/[0-9a-f]{2}/(?P<sha256>[0-9a-f]{64})(?:/.+)?")


def tag(sha256: str) -> str:
    """Give the tag of all jobs that need these bytes."""
    return f"sha:{sha256}"


@asynccontextmanager
async def held(sha256: str) -> AsyncIterator[None]:
    """Keep others from removing the picture's objects; to be held from storing to enqueueing."""
    async with queue.alock(f"picture-{sha256}", ttl=_HELD_SECONDS):
        yield


async def remove_unused(sha256: str, *, before: float = inf) -> bool:
    """Remove the picture's objects unless a job needs them; say whether they are gone.

    ``before``: only if none of them was stored since (seconds since 1970).
    """
    # Almost always there is a job, and a look costs less than the lock.
    if await _needed(sha256):
        return False
    async with held(sha256):
        if await _needed(sha256) or await asyncio.to_thread(_stored_since, sha256, before):
            return False
        await asyncio.to_thread(_delete, sha256)
    return True


def pictures(before: float) -> Iterator[str]:
    """Name the pictures that have an object stored before this time; some of them twice.

    Objects that are not of ours are passed over: they are not ours to remove.
    """
    last = None
    for folder in _FOLDERS:
        for stored in storage().entries(folder):
            match = _KEY.fullmatch(stored.key)
            # The outputs of one picture come one after the other.
            if match and stored.modified < before and match["sha256"] != last:
                last = match["sha256"]
                yield last


async def _needed(sha256: str) -> bool:
    before = None
    while jobs := await queue.alist_jobs(tag=tag(sha256), before=before, limit=_PAGE):
        if await remaining(jobs):
            return True
        before = jobs[-1].id
    return False


def _stored_since(sha256: str, before: float) -> bool:
    original = storage().stat(original_key(sha256))
    outputs = storage().entries(outputs_prefix(sha256))
    times = [stored.modified for stored in outputs]
    return max([*times, original.modified if original else -inf]) >= before


def _delete(sha256: str) -> None:
    storage().delete(outputs_prefix(sha256))
    storage().delete(original_key(sha256))
