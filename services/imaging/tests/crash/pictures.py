"""Pictures that are alike to the eye and differ in every digest."""

import hashlib
import struct
from functools import lru_cache

from services.imaging.tests.pictures import sample, vips

SIDE = 3000


@lru_cache
def _photograph() -> bytes:
    """Enough work that a worker is nearly always in the middle of one."""
    image = vips.Image.thumbnail(str(sample("mountains.jpg")), SIDE, size="both")
    return bytes(image.jpegsave_buffer(Q=80, interlace=True))


def picture(number: int) -> bytes:
    """Put a number into a comment of the photograph."""
    text = b"number %d" % number
    comment = struct.pack(">BBH", 0xFF, 0xFE, len(text) + 2) + text
    data = _photograph()
    return data[:2] + comment + data[2:]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
