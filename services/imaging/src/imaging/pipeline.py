"""From a stranger's file to what the presets ask for: pure functions on paths.

The web process calls :func:`probe` before it accepts a file, a process that may die calls
:func:`render`.  Nothing here knows of uploads, jobs or HTTP.
"""

import base64
import math
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from imaging import formats
from imaging.engine import vips
from imaging.orders import BadImage, Limits, Order, Output, Probe, Rendered, Report
from imaging.placeholder import SIDE, colour_of, thumbhash
from imaging.presets import Fit, Format, Preset

# The decode is nearly all of the work; what is left covers writing the outputs.
_DECODED = 90
# From here on, the stored picture lies on its side.
_FIRST_LYING = 5


def probe(path: Path, limits: Limits) -> Probe:
    """Read the header, and refuse what must not reach a decoder.

    libvips has no limit of its own: a PNG of 74 bytes that claims 100000 x 100000 pixels
    costs it minutes and most of a gigabyte.
    """
    kind = _kind(path)
    try:
        header = _header(path)
    except vips.Error as error:
        raise _at_fault(path, kind, str(error)) from error
    width, height = _upright(header)
    _check_size(width, height, limits)
    return Probe(kind, width, height, _field(header, "n-pages", 1))


def render(path: Path, limits: Limits, orders: Sequence[Order], on_progress: Report) -> Rendered:
    """Decode once, as small as the orders allow, and make each output from that.

    Orientation is applied, every kind of metadata dropped but the colour profile, and only
    the first frame of an animation is taken.

    Raises :class:`BadImage`, and ``MemoryError`` where there was not enough for this picture.
    """
    # Whoever stored the file has probed it, but a bomb must not depend on that.
    found = probe(path, limits)
    presets = [order.preset for order in orders]
    try:
        header = _header(path)
        decoded = _decode(_shrunk(path, found.format, header, presets), on_progress)
    except vips.Error as error:
        raise _why(error, path, found.format) from error
    try:
        outputs = _outputs(decoded, orders, on_progress)
        tiny = _opaque(decoded).thumbnail_image(SIDE, height=SIDE, size="down").colourspace("srgb")
        pixels = bytes(tiny.write_to_memory())
    except vips.Error as error:
        raise _ours(error) from error
    return Rendered(
        found,
        path.stat().st_size,
        outputs,
        colour_of(pixels),
        base64.b64encode(thumbhash(tiny.width, tiny.height, pixels)).decode(),
        _taken_at(header),
    )


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


def _header(path: Path) -> Any:
    return vips.Image.new_from_file(str(path), access="sequential")


def _field(header: Any, name: str, default: Any) -> Any:
    # Never by way of the list of all fields: a PNG may name its texts in Latin-1, and pyvips reads
    # that list, as it does each value, as UTF-8.
    try:
        return header.get(name) if header.get_typeof(name) else default
    except UnicodeDecodeError:
        return default


def _upright(header: Any) -> tuple[int, int]:
    lies = _field(header, "orientation", 1) >= _FIRST_LYING
    return (header.height, header.width) if lies else (header.width, header.height)


_TAKEN = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d:\d\d:\d\d)")
_OFFSET = re.compile(r"[+-]\d\d:\d\d")


def _taken_at(header: Any) -> datetime | None:
    """Read when the shutter opened; cameras without a clock write zeros, or blanks."""
    said = _TAKEN.match(_field(header, "exif-ifd2-DateTimeOriginal", ""))
    zone = _OFFSET.match(_field(header, "exif-ifd2-OffsetTimeOriginal", ""))
    if said is None:
        return None
    year, month, day, time = said.groups()
    try:
        return datetime.fromisoformat(f"{year}-{month}-{day}T{time}{zone[0] if zone else ''}")
    except ValueError:
        return None


def _scale(preset: Preset, width: int, height: int) -> float:
    """Say by how much a picture shrinks for a preset; 1 if it is no larger."""
    across, down = preset.width / width, preset.height / height
    return min(1.0, min(across, down) if preset.fit is Fit.INSIDE else max(across, down))


# A JPEG decoder shrinks by leaving work out, the filter after it by doing some.  By itself libvips
# leaves the filter a factor of 2 and more, and decodes all 4000 pixels for an output of 1024.
_BLOCKS = (8, 4, 2)
_FILTERED = 1.5


def _shrunk(path: Path, kind: str, header: Any, presets: Sequence[Preset]) -> Any:
    """Open the picture at the size of its largest output: decoders shrink as they read."""
    width, height = _upright(header)
    scale = max(_scale(preset, width, height) for preset in presets)
    # The side that decides comes out whole, give or take the last digit of a float.
    box = [math.ceil(side * scale - 1e-6) for side in (width, height)]
    # The file form, not thumbnail_buffer: that one ignores fail_on and turns a truncated
    # file into a picture that is grey from the middle down.
    # CMYK is for printers: browsers show it wrong or not at all, so it becomes sRGB.
    colours = {"export_profile": "srgb"} if header.interpretation == "cmyk" else {}
    if kind == "jpeg":
        block = next((side for side in _BLOCKS if side * scale * _FILTERED <= 1), 1)
        whole = vips.Image.jpegload(str(path), shrink=block, access="sequential", fail_on="error")
        shrunk = whole.thumbnail_image(box[0], height=box[1], size="down", **colours)
    else:
        shrunk = vips.Image.thumbnail(
            str(path), box[0], height=box[1], size="down", fail_on="error", **colours
        )
    grey = shrunk.interpretation in {"b-w", "grey16"}
    return shrunk.colourspace("b-w" if grey else "srgb")


def _decode(image: Any, on_progress: Report) -> Any:
    """Run the whole lazy pipeline into memory, reporting what the engine reports."""
    failures: list[BaseException] = []
    last = -1

    # What is closed over lives as long as the picture: with the picture itself among it, both
    # would wait for the garbage collector, and so would the file that is mapped.
    def report(decoding: Any, progress: Any) -> None:
        nonlocal last
        try:
            # The engine speaks up thousands of times; only a new whole percent is news.
            percent = progress.percent * _DECODED // 100
            if percent != last and not failures:
                last = percent
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


def _outputs(decoded: Any, orders: Sequence[Order], on_progress: Report) -> dict[str, Output]:
    made = {}
    for number, order in enumerate(orders, 1):
        made[order.preset.name] = _written(decoded, order)
        on_progress(_DECODED + (100 - _DECODED) * number // len(orders))
    return made


def _written(decoded: Any, order: Order) -> Output:
    preset, target = order.preset, order.target
    picture = _fitted(decoded, preset)
    save, options = _SAVERS[preset.format]
    if preset.format is Format.JPEG:
        picture = _opaque(picture)
    if preset.format is not Format.PNG:
        options = {**options, "Q": preset.quality}
    getattr(picture, save)(str(target), keep="icc", **options)
    return Output(picture.width, picture.height, target.stat().st_size)


# Efforts at which a little less of a file would cost several times the time.
_SAVERS: dict[Format, tuple[str, dict[str, Any]]] = {
    Format.JPEG: ("jpegsave", {"optimize_coding": True}),
    Format.PNG: ("pngsave", {"compression": 6}),
    Format.WEBP: ("webpsave", {"effort": 4}),
    Format.AVIF: ("heifsave", {"compression": "av1", "effort": 2}),
}


def _fitted(picture: Any, preset: Preset) -> Any:
    width, height = preset.width, preset.height
    if preset.fit is Fit.INSIDE:
        return picture.thumbnail_image(width, height=height, size="down")
    # Of a picture smaller than the box, the largest part that has its shape.
    shape = min(1.0, picture.width / width, picture.height / height)
    return picture.thumbnail_image(
        max(1, round(width * shape)),
        height=max(1, round(height * shape)),
        size="down",
        crop="centre" if preset.fit is Fit.COVER else "attention",
    )


def _opaque(picture: Any) -> Any:
    """Lay transparency on white, for where there is none."""
    return picture.flatten(background=[255]) if picture.hasalpha() else picture


def _why(error: Exception, path: Path, kind: str) -> Exception:
    """Tell a fault of the file from one of this machine, which may be over the next time."""
    ours = _ours(error)
    is_ours = isinstance(ours, MemoryError) or "system error" in str(error)
    return ours if is_ours else _at_fault(path, kind, str(error))


def _ours(error: Exception) -> Exception:
    """Name the want of memory, for whoever has limited it."""
    signs = ("out of memory", "insufficient memory")
    short = any(sign in str(error).lower() for sign in signs)
    return MemoryError("the engine ran out of memory") if short else error


def _at_fault(path: Path, kind: str, message: str) -> BadImage:
    """Tell people what they can act on: an unfinished download, or another kind of damage."""
    ends_early = ("premature end", "unexpected end")
    if any(sign in message.lower() for sign in ends_early) or formats.cut_short(path, kind):
        return BadImage("truncated_image", "This picture is incomplete: the file ends too early.")
    return BadImage("damaged_image", "This picture is damaged and cannot be read.")
