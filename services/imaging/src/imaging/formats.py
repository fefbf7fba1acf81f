"""Which kinds of file are let in, told by their first bytes.

The client's content type and file name are claims; these bytes are what the decoder will
see.  A kind that is recognised and not wanted is named, so that the refusal helps.
"""

from pathlib import Path

HEAD_BYTES = 512
ACCEPTED = ("image/jpeg", "image/png", "image/webp", "image/gif", "image/avif")

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
)

_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"}

_UNWANTED: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "PDF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"BM", "BMP"),
    (b"8BPS", "Photoshop"),
    (b"%!PS", "PostScript"),
    (b"PK\x03\x04", "ZIP"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
)


def sniff(head: bytes) -> str | None:
    """Name the accepted format these bytes begin, or None."""
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    return "avif" if _brands(head) & _AVIF_BRANDS else None


def unwanted(head: bytes) -> str | None:
    """Name the kind of file these bytes begin if people mistake it for a picture we take."""
    if _brands(head) & _HEIC_BRANDS:
        return "HEIC"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<svg", b"<?xml", b"<!doctype svg")) or b"<svg" in text:
        return "SVG"
    if text.startswith((b"<!doctype html", b"<html")):
        return "HTML"
    return next((name for magic, name in _UNWANTED if head.startswith(magic)), None)


def cut_short(path: Path, kind: str) -> bool:
    """Say whether a file that could not be decoded lacks its end.

    Only asked after a failure, to word it: decoders accept files with a tail of their own.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if kind == "webp":
            return int.from_bytes(head[4:8], "little") + 8 > size
        file.seek(max(0, size - 64))
        return kind == "png" and b"IEND" not in file.read()


def _brands(head: bytes) -> set[bytes]:
    """The brands of an ISO media file: its own and those it says it is compatible with."""
    if head[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return {head[8:12], *(head[at : at + 4] for at in range(16, end, 4))}
