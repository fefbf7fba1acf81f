"""JPEGs that no camera and no editor writes."""

import struct
from functools import lru_cache

from services.imaging.tests.pictures import photograph, vips

SOI, EOI = b"\xff\xd8", b"\xff\xd9"


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def with_segments(*segments: bytes) -> bytes:
    return SOI + b"".join(segments) + photograph()[2:]


def claiming(width: int, height: int) -> bytes:
    """Change what the frame's header says of its size."""
    data = bytearray(photograph())
    at = next(data.index(mark) for mark in (b"\xff\xc0\0\x11", b"\xff\xc2\0\x11") if mark in data)
    struct.pack_into(">HH", data, at + 5, height, width)
    return bytes(data)


@lru_cache
def progressive(side: int) -> bytes:
    image = vips.Image.black(side, side, bands=3).copy(interpretation="srgb")
    return bytes(image.jpegsave_buffer(interlace=True))


def repeated_scans(side: int, times: int) -> bytes:
    """Repeat the last refinement: each repeat walks over all the picture again."""
    data = progressive(side)
    last = data.rindex(b"\xff\xda")
    return data[:last] + (data[last : -len(EOI)]) * times + EOI


def wide(width: int, height: int) -> bytes:
    image = vips.Image.black(width, height, bands=3).copy(interpretation="srgb")
    return bytes(image.jpegsave_buffer())


def cmyk() -> bytes:
    image = vips.Image.new_from_buffer(photograph(), "").icc_export(output_profile="cmyk")
    return bytes(image.jpegsave_buffer())


def exif(body: bytes) -> bytes:
    return with_segments(segment(0xE1, b"Exif\0\0" + body))


def exif_loop() -> bytes:
    """A directory whose EXIF directory, and whose next one, is itself."""
    entry = struct.pack("<HHII", 0x8769, 4, 1, 8)
    return exif(b"II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 8))


def exif_orientation(value: int) -> bytes:
    entry = struct.pack("<HHIHH", 0x112, 3, 1, value, 0)
    return exif(b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4))


def exif_of_billions() -> bytes:
    """Entries that claim four billion values each, anywhere."""
    entry = struct.pack("<HHII", 0x10F, 2, 2**32 - 1, 2**31)
    return exif(b"II*\0" + struct.pack("<IH", 8, 0xFFFF) + entry * 5000)


def profile_of_garbage() -> bytes:
    return with_segments(segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(range(256)) * 40))


def profile_of_255_parts() -> bytes:
    part = b"ICC_PROFILE\0\1\xff" + bytes(60_000)
    return with_segments(*[segment(0xE2, part)] * 60)


def comment(text: bytes) -> bytes:
    return with_segments(segment(0xFE, text))


def restarts() -> bytes:
    """A restart interval that the data do not keep."""
    return with_segments(segment(0xDD, b"\0\1"))


def without_tables() -> bytes:
    data = photograph()
    at = data.index(b"\xff\xdb")
    length = int.from_bytes(data[at + 2 : at + 4], "big") + 2
    return data[:at] + data[at + length :]


def a_thousand_segments() -> bytes:
    return with_segments(*(segment(0xE0 + n % 16, bytes(4000)) for n in range(1000)))


CRAFTED = {
    "jpeg claims 65500 x 65500": (lambda: claiming(65_500, 65_500), "too_many_pixels"),
    "jpeg claims 8000 x 6000": (lambda: claiming(8000, 6000), "accepted"),
    "jpeg claims 0 x 0": (lambda: claiming(0, 0), "damaged_image"),
    "jpeg, progressive, 50 MP": (lambda: progressive(7071), "accepted"),
    "jpeg, progressive, 1,000 scans": (lambda: repeated_scans(512, 1000), "damaged_image"),
    "jpeg, progressive, 50 MP, 1,000 scans": (lambda: repeated_scans(7071, 1000), "damaged_image"),
    "jpeg, 1 x 16384": (lambda: wide(1, 16_384), "accepted"),
    "jpeg, 16384 x 1": (lambda: wide(16_384, 1), "accepted"),
    "jpeg, CMYK": (cmyk, "accepted"),
    "jpeg, EXIF in a circle": (exif_loop, "accepted"),
    "jpeg, EXIF orientation 9999": (lambda: exif_orientation(9999), "accepted"),
    "jpeg, EXIF of billions": (exif_of_billions, "accepted"),
    "jpeg, profile of garbage": (profile_of_garbage, "accepted"),
    "jpeg, profile in 255 parts": (profile_of_255_parts, "accepted"),
    "jpeg, restarts that are not there": (restarts, "damaged_image"),
    "jpeg, no tables": (without_tables, "damaged_image"),
    "jpeg, 4 MB of segments": (a_thousand_segments, "accepted"),
    "jpeg, cut after its header": (lambda: photograph()[:700], "truncated_image"),
    "jpeg, a start and no more": (lambda: SOI + b"\xff\xe0", "truncated_image"),
    "jpeg with PHP behind": (lambda: photograph() + b"<?php system('id'); ?>", "accepted"),
    "jpeg with HTML inside": (lambda: comment(b"<script>alert(1)</script>"), "accepted"),
    "jpeg with a ZIP behind": (lambda: photograph() + b"PK\3\4" + bytes(500), "accepted"),
}
