"""GIFs, WebPs and AVIFs that nobody writes, and files of other kinds under the name of a JPEG."""

import gzip
import struct

from services.imaging.tests.pictures import SVG, photograph, vips

TRAILER = b";"


def gif(width: int, height: int, *blocks: bytes) -> bytes:
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return b"GIF89a" + screen + b"".join(blocks) + TRAILER


def frame(left: int, top: int, width: int, height: int, data: bytes | None = None) -> bytes:
    body = lzw(width * height) if data is None else data
    return b"," + struct.pack("<HHHHB", left, top, width, height, 0) + body


def lzw(pixels: int) -> bytes:
    """So many pixels of one colour, in codes that each stand for one more than the last."""
    codes, code, have = [4], 6, 0
    run = 0
    while have < pixels:
        if run == 0 or code >= 4094:
            codes += [4, 0] if run else [0]
            code, run = 6, 1
        else:
            codes.append(code)
            code, run = code + 1, run + 1
        have += run
    return b"\2" + blocks(pack([*codes, 5]))


def pack(codes: list[int]) -> bytes:
    """Write codes as wide as a decoder expects them at that point."""
    bits = count = 0
    out = bytearray()
    size, table, first = 3, 6, True
    for code in codes:
        bits |= code << count
        count += size
        while count >= 8:
            out.append(bits & 255)
            bits, count = bits >> 8, count - 8
        if code == 4:
            size, table, first = 3, 6, True
        else:
            table += 0 if first else 1
            first = False
            if table == 1 << size and size < 12:
                size += 1
    return bytes([*out, bits & 255])


def blocks(data: bytes) -> bytes:
    parts = (data[at : at + 255] for at in range(0, len(data), 255))
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def riff(*parts: bytes, size: int | None = None) -> bytes:
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def part(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def canvas(width: int, height: int, flags: int = 0) -> bytes:
    sides = b"".join(struct.pack("<I", side - 1)[:3] for side in (width, height))
    return part(b"VP8X", bytes([flags, 0, 0, 0]) + sides)


def webp() -> bytes:
    return photograph(".webp")


def lossless(side: int) -> bytes:
    image = vips.Image.black(side, side, bands=3).copy(interpretation="srgb")
    return bytes(image.webpsave_buffer(lossless=True, effort=0))


def webp_of_many_frames(count: int) -> bytes:
    alone = vips.Image.black(16, 16, bands=3).copy(interpretation="srgb").webpsave_buffer()
    inner = bytes(alone[alone.index(b"VP8 ") :])
    sides = bytes([15, 0, 0, 15, 0, 0])
    frames = part(b"ANMF", bytes(6) + sides + bytes([10, 0, 0, 0]) + inner)
    return riff(canvas(16, 16, 2), part(b"ANIM", bytes(6)), *[frames] * count)


def avif() -> bytes:
    return photograph(".avif")


def avif_claiming(width: int, height: int) -> bytes:
    data = bytearray(avif())
    at = data.index(b"ispe")
    struct.pack_into(">II", data, at + 8, width, height)
    return bytes(data)


def avif_elsewhere() -> bytes:
    """The pixels are said to lie far behind the end."""
    data = bytearray(avif())
    at = data.index(b"iloc")
    data[at + 12 : at + 24] = b"\x7f" * 12
    return bytes(data)


def avif_box_in_itself() -> bytes:
    data = bytearray(avif())
    at = data.index(b"meta") - 4
    struct.pack_into(">I", data, at, 2**31 - 1)
    return bytes(data)


XXE = (
    b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    b'<svg xmlns="http://www.w3.org/2000/svg"><text>&x;</text></svg>'
)
MVG = b"push graphic-context\nviewbox 0 0 9 9\nimage over 0,0 0,0 'https://127.0.0.1/x'\npop"
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50)
XBM = b"#define x_width 9\n#define x_height 9\nstatic char x_bits[] = { 0x00 };"
BMP = b"BM" + struct.pack("<IIIIiiHHI", 99, 0, 54, 40, 2**31 - 1, 2**31 - 1, 1, 24, 0)
TIFF_LOOP = b"II*\0" + struct.pack("<IH", 8, 1) + bytes(12) + struct.pack("<I", 8)

PICTURES = {
    "gif claims 65535 x 65535": (lambda: gif(65_535, 65_535, frame(0, 0, 1, 1)), "accepted"),
    "gif claims 0 x 0": (lambda: gif(0, 0, frame(0, 0, 1, 1)), "accepted"),
    "gif, 49 MP of one colour": (lambda: gif(7000, 7000, frame(0, 0, 7000, 7000)), "accepted"),
    "gif, 10,000 frames": (lambda: gif(10, 10, *[frame(0, 0, 10, 10)] * 10_000), "accepted"),
    "gif, frame far outside": (lambda: gif(9, 9, frame(60_000, 60_000, 9, 9)), "too_many_pixels"),
    "gif, frame larger than all": (
        lambda: gif(1, 1, frame(0, 0, 65_535, 65_535, b"\2\1\4\0")),
        "too_many_pixels",
    ),
    "gif, codes that are not there": (
        lambda: gif(9, 9, frame(0, 0, 9, 9, b"\2" + blocks(b"\xff" * 40))),
        "damaged_image",
    ),
    "gif, no frame": (lambda: gif(9, 9), "damaged_image"),
    "gif that is a script": (lambda: b"GIF89a/*" + bytes(9) + b"*/=1;alert(1)", "damaged_image"),
    "webp claims 16384 x 16384": (lambda: riff(canvas(16_384, 16_384)), "damaged_image"),
    "webp, canvas smaller than its picture": (
        lambda: riff(canvas(1, 1), webp()[12:]),
        "damaged_image",
    ),
    "webp claims four gigabytes": (lambda: riff(webp()[12:], size=2**32 - 10), "truncated_image"),
    "webp, cut in the middle": (lambda: webp()[: len(webp()) // 2], "truncated_image"),
    "webp, lossless, 25 MP of black": (lambda: lossless(5000), "accepted"),
    "webp, 10,000 frames": (lambda: webp_of_many_frames(10_000), "accepted"),
    "avif claims 100000 x 100000": (lambda: avif_claiming(10**5, 10**5), "too_many_pixels"),
    "avif claims 7000 x 7000": (lambda: avif_claiming(7000, 7000), "damaged_image"),
    "avif, pixels elsewhere": (avif_elsewhere, "damaged_image"),
    "avif, box longer than the file": (avif_box_in_itself, "damaged_image"),
    "avif, cut in the middle": (lambda: avif()[: len(avif()) // 2], "truncated_image"),
}
STRANGERS = {
    "svg": (lambda: SVG, "unsupported_type"),
    "svg that reads a file": (lambda: XXE, "unsupported_type"),
    "svg, compressed": (lambda: gzip.compress(SVG, mtime=0), "not_an_image"),
    "postscript": (lambda: b"%!PS-Adobe-3.0\n(x) run", "unsupported_type"),
    "postscript of DOS": (lambda: b"\xc5\xd0\xd3\xc6" + bytes(40), "not_an_image"),
    "pdf": (lambda: b"%PDF-1.7\n%%EOF", "unsupported_type"),
    "tiff in a circle": (lambda: TIFF_LOOP, "unsupported_type"),
    "heic": (lambda: HEIC, "unsupported_type"),
    "mvg": (lambda: MVG, "not_an_image"),
    "xbm": (lambda: XBM, "not_an_image"),
    "bmp of 2147483647": (lambda: BMP, "unsupported_type"),
    "vips": (lambda: b"\xb6\xa6\xf2\x08" + bytes(100), "not_an_image"),
    "csv": (lambda: b"1,2,3\n4,5,6\n", "not_an_image"),
    "html": (lambda: b"<!doctype html><script>alert(1)</script>", "unsupported_type"),
    "zip": (lambda: b"PK\3\4" + bytes(100), "unsupported_type"),
    "nothing": (lambda: b"", "empty_file"),
    "zeros": (lambda: bytes(1 << 20), "not_an_image"),
}
CRAFTED = {**PICTURES, **STRANGERS}
