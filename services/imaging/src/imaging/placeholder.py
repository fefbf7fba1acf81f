"""What stands where a picture will be: its dominant colour, and its ThumbHash.

A ThumbHash is some 25 bytes from which a page draws a blurred preview
(https://evanw.github.io/thumbhash).  It is computed here in plain Python, for that takes 2 ms
on pixels as few as these, and numpy would double what a decoder's process holds.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

SIDE = 32
"""How large a picture these need; of more pixels they would hardly differ."""

_LIGHT_TERMS = 7
_COLOUR_TERMS = 3
# The three highest bits of each channel: 512 sorts of colour.
_SHIFT = 5
_NOISE = 1e-9


def colour_of(rgb: bytes) -> str:
    """Give the mean of the most frequent sort of colour, as ``#rrggbb``."""
    pixels = list(zip(rgb[0::3], rgb[1::3], rgb[2::3], strict=True))
    sorts = [(red >> _SHIFT, green >> _SHIFT, blue >> _SHIFT) for red, green, blue in pixels]
    [(most, count)] = Counter(sorts).most_common(1)
    chosen = [pixel for pixel, sort in zip(pixels, sorts, strict=True) if sort == most]
    means = [_round(sum(channel) / count) for channel in zip(*chosen, strict=True)]
    return "#" + bytes(means).hex()


def thumbhash(width: int, height: int, rgb: bytes) -> bytes:
    """Hash an opaque picture of at most 100 pixels a side."""
    pixels = list(zip(rgb[0::3], rgb[1::3], rgb[2::3], strict=True))
    light = [(red + green + blue) / 765 for red, green, blue in pixels]
    yellow_blue = [(red + green) / 510 - blue / 255 for red, green, blue in pixels]
    red_green = [(red - green) / 255 for red, green, _ in pixels]
    across, down = (
        max(1, _round(_LIGHT_TERMS * side / max(width, height))) for side in (width, height)
    )
    size = width, height
    lit = _waves(light, size, max(across, _COLOUR_TERMS), max(down, _COLOUR_TERMS))
    p, q = (_waves(one, size, _COLOUR_TERMS, _COLOUR_TERMS) for one in (yellow_blue, red_green))
    head = _round(63 * lit.mean) | _round(31.5 + 31.5 * p.mean) << 6
    head |= _round(31.5 + 31.5 * q.mean) << 12 | _round(31 * lit.scale) << 18
    is_wide = width > height
    tail = (down if is_wide else across) | _round(63 * p.scale) << 3
    tail |= _round(63 * q.scale) << 9 | is_wide << 15
    terms = _nibbles([_round(15 * term) for one in (lit, p, q) for term in one.terms])
    return head.to_bytes(3, "little") + tail.to_bytes(2, "little") + terms


class _Waves(NamedTuple):
    """A channel as cosine waves: its mean, the others from 0 to 1, and what 0 and 1 mean."""

    mean: float
    terms: list[float]
    scale: float


def _waves(channel: Sequence[float], size: tuple[int, int], across: int, down: int) -> _Waves:
    """Transform a channel; of the highest waves, both ways at once, a triangle is left out."""
    width, height = size
    rows = [channel[start : start + width] for start in range(0, width * height, width)]
    # One direction after the other takes a tenth of the time of both at once.
    along = [
        [sum(map(float.__mul__, wave, row)) for row in rows] for wave in _cosines(width, across)
    ]
    found = [
        sum(map(float.__mul__, wave, along[cx])) / (width * height)
        for cy, wave in enumerate(_cosines(height, down))
        for cx in range(across)
        if cx * down < across * (down - cy)
    ]
    scale = max(map(abs, found[1:]))
    # In a picture of one colour there is nothing but the noise of rounding.
    terms = [0.5 + 0.5 * term / scale if scale > _NOISE else 0.0 for term in found[1:]]
    return _Waves(found[0], terms, scale)


def _cosines(length: int, waves: int) -> list[list[float]]:
    return [
        [math.cos(math.pi / length * wave * (place + 0.5)) for place in range(length)]
        for wave in range(waves)
    ]


def _nibbles(values: list[int]) -> bytes:
    padded = [*values, 0] if len(values) % 2 else values
    return bytes(low | high << 4 for low, high in zip(padded[0::2], padded[1::2], strict=True))


def _round(number: float) -> int:
    # Halves go up, as in the language in which the format was defined.
    return math.floor(number + 0.5)
