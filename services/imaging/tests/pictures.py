"""Pictures made at test time: what cameras produce, and what they never would."""

import os
import struct
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from imaging.engine import vips as vips  # noqa: PLC0414
from imaging.showcase import sample_photographs

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="90" height="90"><circle r="40"/></svg>'

# How libvips writes a text of EXIF: its value, then what it is.
_ASCII = "(x, ASCII, 20 components, 20 bytes)"


def sample(name: str) -> Path:
    return next(path for path in sample_photographs() if path.name == name)


def load(data: bytes) -> Any:
    return vips.Image.new_from_buffer(data, "")


@lru_cache
def photograph(suffix: str = ".jpg") -> bytes:
    """A small real photograph in any of the accepted formats."""
    image = vips.Image.thumbnail(str(sample("fig.jpg")), 600)
    return bytes(image.write_to_buffer(suffix))


@lru_cache
def with_metadata() -> bytes:
    """A JPEG as a phone takes it: lying on its side, with a place, a profile and XMP."""
    image = vips.Image.thumbnail(str(sample("fig.jpg")), 400, export_profile="p3").copy()
    text, blob = vips.GValue.gstr_type, vips.GValue.blob_type
    image.set_type(vips.GValue.gint_type, "orientation", 6)
    image.set_type(text, "exif-ifd0-Make", "Nokia (Nokia, ASCII, 6 components, 6 bytes)")
    image.set_type(text, "exif-ifd3-GPSLatitude", "48/1 8/1 1/1 (48, 8, 1, Rational, 3, 24)")
    image.set_type(text, "exif-ifd2-DateTimeOriginal", f"2026:11:21 10:11:12 {_ASCII}")
    image.set_type(text, "exif-ifd2-OffsetTimeOriginal", f"+01:00 {_ASCII}")
    image.set_type(blob, "xmp-data", b"<x:xmpmeta>a secret place</x:xmpmeta>")
    image.set_type(blob, "iptc-data", b"Photoshop 3.0\0a secret caption")
    return bytes(image.jpegsave_buffer(Q=90))


def taken(said: str) -> bytes:
    """A JPEG of a camera that says this of its clock."""
    image = vips.Image.black(60, 40).copy()
    text = vips.GValue.gstr_type
    image.set_type(text, "exif-ifd2-DateTimeOriginal", f"{said} {_ASCII}")
    return bytes(image.jpegsave_buffer())


def chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of some 70 bytes that says it is as large as you like."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0")), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@lru_cache
def _slow_png() -> bytes:
    ramp = vips.Image.xyz(7000, 7000) % 256
    red, green = ramp[0] * 257, ramp[1] * 257
    bands = red.bandjoin([green, ramp[0] * 200, green * 0 + 65535])
    image = bands.cast("ushort").copy(interpretation="rgb16")
    return bytes(image.pngsave_buffer(compression=1, filter="paeth"))


def slow_png() -> bytes:
    """49 megapixels of 16 bits and four channels: over a second of work, evenly spread.

    No two have the same bytes, for those would be processed once.
    """
    return _slow_png() + os.urandom(16)


def hungry_jpeg() -> bytes:
    """A small file whose decoder must hold all of it at once: 49 megapixels, progressive."""
    image = vips.Image.black(7000, 7000, bands=3).copy(interpretation="srgb")
    return bytes(image.jpegsave_buffer(interlace=True))
