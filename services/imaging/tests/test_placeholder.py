"""Placeholders, against what the reference implementation of ThumbHash makes of the same pixels."""

import base64
import random

import pytest

from imaging.placeholder import colour_of, thumbhash


def noise(width: int, height: int) -> bytes:
    return random.Random(width * height).randbytes(width * height * 3)


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (32, 24, "HwgCDYJoaFZZdzZ2hei4UCCX7fmV"),
        (24, 32, "HwgCDQLp2ambV2jWJXCWiZ+Hm/mX"),
        (32, 32, "HwgCDwJJr63GqFV8eONmt/lDbdzyp6AH"),
        (32, 9, "IPgBEoQshw1apqaHmneAHb8="),
    ],
)
def test_the_hash_is_that_of_the_reference(width: int, height: int, expected: str) -> None:
    made = thumbhash(width, height, noise(width, height))
    assert base64.b64encode(made).decode() == expected


@pytest.mark.parametrize("size", [(32, 32), (24, 32), (32, 20)])
def test_one_colour_alone_has_a_hash_without_waves(size: tuple[int, int]) -> None:
    width, height = size
    made = thumbhash(width, height, bytes([10, 200, 30]) * (width * height))
    head = int.from_bytes(made[:3], "little")
    assert head >> 18 == 0, "no scale: whatever the waves are, they are not seen"
    assert set(made[5:-1]) <= {0}


def test_the_colour_is_the_mean_of_the_most_frequent_sort() -> None:
    pixels = [(0, 0, 0)] * 3 + [(250, 250, 250)] * 4 + [(240, 250, 252)] * 4
    assert colour_of(bytes(c for pixel in pixels for c in pixel)) == "#f5fafb"
