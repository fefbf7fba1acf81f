"""Job ids: UUIDv7 (RFC 9562 §5.7), made by the caller so that a repeated enqueue is harmless."""

import os
import threading
import time
from functools import cache
from hashlib import blake2b

# The two bits 10 before the last 62, as the RFC has them.
_VARIANT = bytes(byte & 0x3F | 0x80 for byte in range(256))

_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """Return an id that sorts after every earlier one of this process."""
    return new_ids(1)[0]


def new_ids(count: int) -> list[str]:
    """Return ids that sort one after the other, and after every earlier one of this process."""
    return _uuids7(new_stamps(count), os.urandom(8 * count))


def new_stamps(count: int = 1) -> int:
    """Return the first of as many stamps, each of which sorts like an id of this moment.

    The 12 bits after the milliseconds are their fraction, as in RFC 9562 §6.2 method 3; a clock
    that stands still or goes back counts on from the last stamp.
    """
    global _last  # noqa: PLW0603 - order within a process is a property of the process
    with _lock:
        nanoseconds = time.time_ns()
        stamp = (nanoseconds // 1_000_000 << 12) | (nanoseconds % 1_000_000 * 4096 // 1_000_000)
        first = max(stamp, _last + 1)
        _last = first + count - 1
    return first


def id_of(stamp: int) -> str:
    """Return an id for a stamp, another one each time; it sorts by the stamp."""
    return _uuids7(stamp, os.urandom(8))[0]


def tick_id(schedule: str, tick: int) -> str:
    """Return the id of the job for a tick: always the same, and sorted by when it was due."""
    digest = blake2b(f"{tick}:{schedule}".encode(), digest_size=10).hexdigest()
    return _uuids7(tick << 12 | int(digest[:3], 16), bytes.fromhex(digest[4:]))[0]


def _uuids7(first: int, noise: bytes) -> list[str]:
    """Return ids of the stamps from `first` on, each with the next 8 bytes of `noise`."""
    # Without a call for each: many are made at once, within few milliseconds.
    data, lows = bytearray(noise), _lows()
    data[::8] = data[::8].translate(_VARIANT)
    rest = data.hex()
    stamps = range(first, first + len(data) // 8)
    heads = {moment: _head(moment) for moment in range(first >> 12, (stamps[-1] >> 12) + 1)}
    places = range(0, len(rest), 16)
    return [
        f"{heads[stamp >> 12]}{lows[stamp & 0xFFF]}-{rest[at : at + 4]}-{rest[at + 4 : at + 16]}"
        for stamp, at in zip(stamps, places, strict=True)
    ]


@cache
def _lows() -> list[str]:
    return [f"{low:03x}" for low in range(1 << 12)]


def _head(moment: int) -> str:
    digits = f"{moment:012x}"
    return f"{digits[:8]}-{digits[8:]}-7"
