"""Job ids: UUIDv7 (RFC 9562 §5.7), made by the caller so that a repeated enqueue is harmless."""

import secrets
import threading
import time
from hashlib import blake2b
from uuid import UUID

_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """Return an id that sorts after every earlier one of this process.

    The 12 bits after the timestamp are its fraction, as in RFC 9562 §6.2 method 3; a clock that
    stands still or goes back counts on from the last id.
    """
    global _last  # noqa: PLW0603 - order within a process is a property of the process
    with _lock:
        nanoseconds = time.time_ns()
        stamp = (nanoseconds // 1_000_000 << 12) | (nanoseconds % 1_000_000 * 4096 // 1_000_000)
        _last = stamp = max(stamp, _last + 1)
    return _uuid7(stamp, secrets.randbits(62))


def tick_id(schedule: str, tick: int) -> str:
    """Return the id of the job for a tick: always the same, and sorted by when it was due."""
    digest = int.from_bytes(blake2b(f"{tick}:{schedule}".encode(), digest_size=10).digest(), "big")
    return _uuid7(tick << 12 | digest & 0xFFF, digest >> 18)


def _uuid7(stamp: int, rest: int) -> str:
    high = (stamp >> 12 << 16) | 0x7000 | (stamp & 0xFFF)
    return str(UUID(int=high << 64 | 0b10 << 62 | rest))
