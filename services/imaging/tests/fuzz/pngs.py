"""PNGs that no camera and no editor writes."""

import struct
import zlib

from services.imaging.tests.pictures import chunk, png_claiming

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, RGBA = 0, 2, 3, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, RGBA: 4}
END = chunk(b"IEND", b"")
BLOCK = 1 << 20
MOST = 7071  # squared, just below the 50 megapixels that are accepted


def header(width: int, height: int, depth: int, kind: int, interlace: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlace))


def png(*chunks: bytes) -> bytes:
    return SIGNATURE + b"".join([*chunks, END])


def nothing(count: int) -> bytes:
    """Compress so many zeros, a thousand times smaller, in no time: all blocks are alike."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(bytes(BLOCK)) + packer.flush(zlib.Z_FULL_FLUSH)
    last = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    rest = last.compress(bytes(count % BLOCK)) + last.flush()
    checksum = struct.pack(">HH", count % 65_521, 1)
    return b"\x78\xda" + block * (count // BLOCK) + rest + checksum


def black(width: int, height: int, depth: int, kind: int) -> bytes:
    """A true picture of zeros: a deflate bomb if it is large."""
    row = 1 + (width * CHANNELS[kind] * depth + 7) // 8
    return png(header(width, height, depth, kind), chunk(b"IDAT", nothing(row * height)))


def black_interlaced(width: int, height: int, depth: int, kind: int) -> bytes:
    """The same in seven passes, so that a decoder must keep the whole picture."""
    starts = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
    total = 0
    for left, top, across, down in (*starts, (0, 1, 1, 2)):
        columns, rows = (width - left + across - 1) // across, (height - top + down - 1) // down
        total += rows * (1 + (columns * CHANNELS[kind] * depth + 7) // 8) if columns else 0
    return png(header(width, height, depth, kind, 1), chunk(b"IDAT", nothing(total)))


def small(*before: bytes, kind: int = RGB) -> bytes:
    """A good picture of 16 x 16 with these chunks before its pixels."""
    rows = (b"\0" + bytes(16 * CHANNELS[kind])) * 16
    return png(header(16, 16, 8, kind), *before, chunk(b"IDAT", zlib.compress(rows)))


def text_bomb() -> bytes:
    return small(chunk(b"zTXt", b"Comment\0\0" + nothing(200 << 20)))


def profile_bomb() -> bytes:
    return small(chunk(b"iCCP", b"icc\0\0" + nothing(200 << 20)))


def profile_of_garbage() -> bytes:
    return small(chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(range(256)) * 40)))


def ten_thousand_texts() -> bytes:
    return small(*(chunk(b"tEXt", b"key%d\0value" % n) for n in range(10_000)))


def text_in_latin_1() -> bytes:
    return small(chunk(b"tEXt", "Ü\0größer".encode("latin-1")))


def bad_checksum() -> bytes:
    good = small()
    at = good.index(b"IDAT")
    return good[:at] + b"IDAT\0\0\0\0" + good[at + 8 :]


def pixels_before_header() -> bytes:
    return png(chunk(b"IDAT", zlib.compress(bytes(100))), header(16, 16, 8, RGB))


def no_end() -> bytes:
    return small()[: -len(END)]


def palette_with_alpha() -> bytes:
    return small(chunk(b"PLTE", bytes(range(48))), chunk(b"tRNS", bytes(16)), kind=PALETTE)


def palette_too_short() -> bytes:
    rows = (b"\0" + bytes([255] * 16)) * 16
    colours = chunk(b"PLTE", bytes(3))
    return png(header(16, 16, 8, PALETTE), colours, chunk(b"IDAT", zlib.compress(rows)))


def no_palette() -> bytes:
    return small(kind=PALETTE)


def animated() -> bytes:
    """An APNG of 10,000 frames; whoever does not know of them sees the first."""
    frames = []
    data = zlib.compress((b"\0" + bytes(48)) * 16)
    for n in range(10_000):
        control = struct.pack(">IIIIIHHBB", 2 * n + 1, 16, 16, 0, 0, 1, 100, 0, 0)
        frames += [chunk(b"fcTL", control), chunk(b"fdAT", struct.pack(">I", 2 * n + 2) + data)]
    whole = small(chunk(b"acTL", struct.pack(">II", 10_000, 0)))
    return whole[: -len(END)] + b"".join(frames) + END


def chunk_longer_than_file() -> bytes:
    return SIGNATURE + header(16, 16, 8, RGB) + b"\x7f\xff\xff\xffIDAT" + bytes(50)


def endless_pixels() -> bytes:
    """A small picture whose compressed data go on for 200 MB after its last row."""
    return png(header(16, 16, 8, RGB), chunk(b"IDAT", nothing(200 << 20)))


CRAFTED = {
    "png claims 100000 x 100000": (lambda: png_claiming(10**5, 10**5), "too_many_pixels"),
    "png claims 16384 x 16384": (lambda: png_claiming(16_384, 16_384), "too_many_pixels"),
    "png claims 50000 x 1000": (lambda: png_claiming(50_000, 1000), "too_many_pixels"),
    "png claims 2147483647 x 1": (lambda: png_claiming(2**31 - 1, 1), "damaged_image"),
    "png claims 4294967295 x 1": (lambda: png_claiming(2**32 - 1, 1), "damaged_image"),
    "png claims 0 x 10": (lambda: png_claiming(0, 10), "damaged_image"),
    "png claims 50 MP and has a byte": (lambda: png_claiming(MOST, MOST), "damaged_image"),
    "png of a depth of 3": (lambda: png(header(9, 9, 3, RGB)), "damaged_image"),
    "png, 50 MP of zeros": (lambda: black(MOST, MOST, 8, RGBA), "accepted"),
    "png, 50 MP of zeros, 16 bits": (lambda: black(MOST, MOST, 16, RGBA), "accepted"),
    "png, 50 MP of zeros, 1 bit": (lambda: black(MOST, MOST, 1, GREY), "accepted"),
    "png, interlaced, 24 MP": (lambda: black_interlaced(6000, 4000, 8, RGB), "accepted"),
    "png, interlaced, 50 MP, 16 bits": (lambda: black_interlaced(MOST, MOST, 16, RGBA), "accepted"),
    "png, 16384 x 1": (lambda: black(16_384, 1, 8, RGB), "accepted"),
    "png, 1 x 16384": (lambda: black(1, 16_384, 8, RGB), "accepted"),
    "png with a text of 200 MB": (text_bomb, "accepted"),
    "png with a profile of 200 MB": (profile_bomb, "accepted"),
    "png with a profile of garbage": (profile_of_garbage, "accepted"),
    "png with 10,000 texts": (ten_thousand_texts, "accepted"),
    "png with a text in Latin-1": (text_in_latin_1, "accepted"),
    "png with a bad checksum": (bad_checksum, "damaged_image"),
    "png with pixels before its header": (pixels_before_header, "damaged_image"),
    "png without an end": (no_end, "accepted"),
    "png, palette with alpha": (palette_with_alpha, "accepted"),
    "png, palette too short": (palette_too_short, "accepted"),
    "png, palette missing": (no_palette, "damaged_image"),
    "png, 10,000 frames": (animated, "accepted"),
    "png, chunk longer than the file": (chunk_longer_than_file, "truncated_image"),
    "png, endless pixels": (endless_pixels, "accepted"),
}
