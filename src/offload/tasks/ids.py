"""Job ids: UUIDv7 (RFC 9562 §5.7), made by the caller so that a repeated enqueue is harmless."""

import secrets
import threading
import time
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
    high = (stamp >> 12 << 16) | 0x7000 | (stamp & 0xFFF)
    low = 0b10 << 62 | secrets.randbits(62)
    return str(UUID(int=high << 64 | low))
