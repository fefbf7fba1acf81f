"""Good pictures, damaged: the number and the seed of a mutant bring it back."""

import struct
import zlib
from collections.abc import Callable
from functools import lru_cache
from random import Random
from typing import Any

from services.imaging.tests.pictures import sample, vips

SIDE = 160
MOST_BYTES = 1 << 20
HEAD = 400  # where sizes and tables stand
TELLING = (b"\0", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\xff\xd9")

Change = Callable[[Random, bytes], bytes]


@lru_cache
def bases() -> tuple[bytes, ...]:
    """One small picture of each kind that decoders treat in a way of its own."""
    image = vips.Image.thumbnail(str(sample("fig.jpg")), SIDE).copy_memory()
    alpha = image.bandjoin(image[0])
    frames = vips.Image.arrayjoin([image.crop(0, 0, 64, 64)] * 6, across=1).copy()
    frames.set_type(vips.GValue.gint_type, "page-height", 64)
    return (
        _saved(image, ".jpg"),
        _saved(image, ".jpg[interlace]"),
        _saved(image.colourspace("b-w"), ".jpg"),
        _saved(image.icc_export(output_profile="cmyk"), ".jpg"),
        _saved(image, ".png"),
        _saved(alpha, ".png[interlace]"),
        _saved(image.colourspace("rgb16"), ".png"),
        _saved(alpha, ".png[palette]"),
        _saved(image, ".webp"),
        _saved(alpha, ".webp[lossless]"),
        _saved(frames, ".webp"),
        _saved(image, ".gif"),
        _saved(frames, ".gif"),
        _saved(image, ".avif[effort=0]"),
    )


def _saved(image: Any, suffix: str) -> bytes:
    return bytes(image.write_to_buffer(suffix))


def flip_bits(chance: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 2, 8, 64))):
        changed[place(chance, data)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def overwrite(chance: Random, data: bytes) -> bytes:
    at, word = place(chance, data), chance.choice(TELLING)
    return data[:at] + word + data[at + len(word) :]


def cut_short(chance: Random, data: bytes) -> bytes:
    return data[: place(chance, data)]


def leave_out(chance: Random, data: bytes) -> bytes:
    start, end = span(chance, data)
    return data[:start] + data[end:]


def repeat(chance: Random, data: bytes) -> bytes:
    start, end = span(chance, data)
    return data[:end] + data[start:end] * chance.choice((1, 1, 20)) + data[end:]


def move(chance: Random, data: bytes) -> bytes:
    start, end = span(chance, data)
    rest = data[:start] + data[end:]
    at = place(chance, rest) if rest else 0
    return rest[:at] + data[start:end] + rest[at:]


def splice(chance: Random, data: bytes) -> bytes:
    """Go on with another picture, most often of another kind."""
    other = chance.choice(bases())
    return data[: place(chance, data)] + other[place(chance, other) :]


def insert(chance: Random, data: bytes) -> bytes:
    at = place(chance, data)
    return data[:at] + chance.randbytes(chance.choice((1, 4, 300))) + data[at:]


CHANGES: tuple[Change, ...] = (
    flip_bits,
    flip_bits,
    overwrite,
    overwrite,
    cut_short,
    leave_out,
    repeat,
    move,
    splice,
    insert,
)


def place(chance: Random, data: bytes) -> int:
    """Every second time near the beginning."""
    return chance.randrange(min(len(data), HEAD) if chance.random() < 0.5 else len(data))


def span(chance: Random, data: bytes) -> tuple[int, int]:
    start = place(chance, data)
    return start, min(len(data), start + chance.choice((1, 4, 16, 200, 3000)))


def with_right_sums(data: bytes) -> bytes:
    """Correct the checksums of a PNG, so that its damage gets past them."""
    fixed, at = bytearray(data), 8
    while at + 12 <= len(fixed):
        length = struct.unpack_from(">I", fixed, at)[0]
        if at + 12 + length > len(fixed):
            break
        body = bytes(fixed[at + 4 : at + 8 + length])
        struct.pack_into(">I", fixed, at + 8 + length, zlib.crc32(body))
        at += 12 + length
    return bytes(fixed)


def mutant(seed: int, number: int) -> bytes:
    """Make the mutant of this number."""
    chance = Random(f"{seed}/{number}")
    data = chance.choice(bases())
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        data = chance.choice(CHANGES)(chance, data)[:MOST_BYTES] or b"\0"
    repaired = data.startswith(b"\x89PNG") and chance.random() < 0.5
    return with_right_sums(data) if repaired else data
