"""From a stranger's file to two JPEGs: pure functions on paths and bytes.

The web process calls :func:`probe` before it accepts a file, a worker's child process
calls :func:`render`.  Nothing here knows of uploads, jobs or HTTP.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imaging import formats
from imaging.engine import vips

Report = Callable[[int], None]

# The decode is nearly all of the work; what is left covers encoding and storing.
_DECODED = 90


class BadImage(Exception):
    """The file is at fault, so trying again cannot help.  ``code`` is for programs."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Limits:
    """How much picture is too much, and what comes out."""

    max_pixels: int = 50_000_000
    max_side: int = 16_384
    resized_side: int = 1024
    thumbnail_side: int = 256
    quality: int = 85


@dataclass(frozen=True, slots=True)
class Probe:
    """What a file's header claims; no pixel has been decoded."""

    format: str
    width: int
    height: int
    pages: int


@dataclass(frozen=True, slots=True)
class Output:
    """One finished JPEG."""

    data: bytes
    width: int
    height: int


def probe(path: Path, limits: Limits) -> Probe:
    """Read the header, and refuse what must not reach a decoder.

    libvips has no limit of its own: a PNG of 74 bytes that claims 100000 x 100000 pixels
    costs it minutes and most of a gigabyte.
    """
    kind = _kind(path)
    try:
        image = vips.Image.new_from_file(str(path), access="sequential")
    except vips.Error as error:
        raise _at_fault(path, kind, str(error)) from error
    _check_size(image.width, image.height, limits)
    # Not by way of the list of all fields: a PNG may name its texts in Latin-1, and that list is
    # read as UTF-8.
    return Probe(kind, image.width, image.height, image.get_n_pages())


def render(path: Path, limits: Limits, on_progress: Report) -> dict[str, Output]:
    """Decode once; make the resized picture, and the thumbnail from that.

    Orientation is applied, alpha laid on white, every kind of metadata dropped but the
    colour profile, and only the first frame of an animation is taken.
    """
    # Whoever stored the file has probed it, but a bomb must not depend on that.
    kind = probe(path, limits).format
    try:
        resized = _resized(path, limits.resized_side, on_progress)
        side = limits.thumbnail_side
        thumbnail = resized.thumbnail_image(side, height=side, size="down")
        return {
            "resized_compressed": _encode(resized, limits.quality),
            "thumbnail": _encode(thumbnail, limits.quality),
        }
    except vips.Error as error:
        # Another attempt may find what this machine lacked now.
        if any(sign in str(error) for sign in ("out of memory", "system error")):
            raise
        raise _at_fault(path, kind, str(error)) from error


def _kind(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(formats.HEAD_BYTES)
    if not head:
        raise BadImage("empty_file", "This file is empty.")
    if kind := formats.sniff(head):
        return kind
    if other := formats.unwanted(head):
        raise BadImage("unsupported_type", f"{other} files are not supported. {_SUPPORTED}")
    raise BadImage("not_an_image", f"This file is not a picture. {_SUPPORTED}")


_SUPPORTED = "Send a JPEG, PNG, WebP, GIF or AVIF."


def _check_size(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.max_pixels or max(width, height) > limits.max_side:
        raise BadImage(
            "too_many_pixels",
            f"This picture is {width} x {height} pixels. Accepted are at most "
            f"{limits.max_pixels / 1e6:g} megapixels, and {limits.max_side} pixels a side.",
        )


def _resized(path: Path, side: int, on_progress: Report) -> Any:
    # The file form, not thumbnail_buffer: that one ignores fail_on and turns a truncated
    # file into a picture that is grey from the middle down.
    shrunk = vips.Image.thumbnail(
        str(path), side, height=side, size="down", fail_on="error", **_colours(path)
    )
    grey = shrunk.interpretation in {"b-w", "grey16"}
    # Eight bits first: on a 16-bit picture the white below would be almost black.
    eight_bit = shrunk.colourspace("b-w" if grey else "srgb")
    opaque = eight_bit.flatten(background=[255]) if eight_bit.hasalpha() else eight_bit
    return _decode(opaque, on_progress)


def _colours(path: Path) -> dict[str, str]:
    """CMYK is for printers: browsers show it wrong or not at all, so it becomes sRGB."""
    header = vips.Image.new_from_file(str(path), access="sequential")
    return {"export_profile": "srgb"} if header.interpretation == "cmyk" else {}


def _decode(image: Any, on_progress: Report) -> Any:
    """Run the whole lazy pipeline into memory, reporting what the engine reports."""
    failures: list[BaseException] = []
    last = -1

    # What is closed over lives as long as the picture: with the picture itself among it, both
    # would wait for the garbage collector, and so would the file that is mapped.
    def report(decoding: Any, progress: Any) -> None:
        nonlocal last
        # The engine speaks up thousands of times; only a new whole percent is news.
        percent = progress.percent * _DECODED // 100
        if percent == last or failures:
            return
        last = percent
        try:
            on_progress(percent)
        except BaseException as error:  # noqa: BLE001 -- re-raised below; C cannot carry it
            failures.append(error)
            decoding.set_kill(True)

    image.set_progress(True)
    image.signal_connect("eval", report)
    try:
        return image.copy_memory()
    finally:
        if failures:
            raise failures[0]


def _encode(image: Any, quality: int) -> Output:
    data = image.jpegsave_buffer(Q=quality, optimize_coding=True, keep="icc")
    return Output(data, image.width, image.height)


def _at_fault(path: Path, kind: str, message: str) -> BadImage:
    """Tell people what they can act on: an unfinished download, or another kind of damage."""
    ends_early = ("premature end", "unexpected end")
    if any(sign in message.lower() for sign in ends_early) or formats.cut_short(path, kind):
        return BadImage("truncated_image", "This picture is incomplete: the file ends too early.")
    return BadImage("damaged_image", "This picture is damaged and cannot be read.")
