"""What comes out of good pictures, and how bad ones are refused."""

import gc
from collections.abc import Callable
from pathlib import Path

import pytest

from imaging.pipeline import BadImage, Limits, Output, probe, render
from imaging.showcase import sample_photographs
from services.imaging.tests import pictures

LIMITS = Limits()
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50)
Write = Callable[[bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Store bytes under a name that tells nothing."""

    def write(data: bytes) -> Path:
        path = tmp_path / "upload"
        path.write_bytes(data)
        return path

    return write


def ignore(_percent: int) -> None:
    """Progress nobody watches."""


def rendered(path: Path) -> dict[str, Output]:
    return render(path, LIMITS, ignore)


def refused(path: Path) -> str:
    with pytest.raises(BadImage) as caught:
        rendered(path)
    assert str(path) not in caught.value.detail
    return caught.value.code


@pytest.mark.parametrize("path", sample_photographs(), ids=lambda path: path.name)
def test_photographs_become_two_jpegs(path: Path) -> None:
    outputs = rendered(path)
    sides = {"resized_compressed": 1024, "thumbnail": 256}
    assert set(outputs) == set(sides)
    for variant, output in outputs.items():
        image = pictures.load(output.data)
        assert image.get("vips-loader") == "jpegload_buffer"
        assert (image.width, image.height) == (output.width, output.height)
        assert max(output.width, output.height) <= sides[variant]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".gif", ".avif"])
def test_every_accepted_format_shows_the_same_picture(suffix: str, write: Write) -> None:
    path = write(pictures.photograph(suffix))
    original = pictures.load(pictures.photograph())
    shown = pictures.load(rendered(path)["resized_compressed"].data)
    assert (shown.width, shown.height) == (original.width, original.height)
    # Mean difference of a pixel; a wrong colour space or a grey half is far above it.
    assert (original - shown).abs().avg() < 8


def test_small_pictures_are_not_enlarged() -> None:
    resized = rendered(pictures.sample("cat.png"))["resized_compressed"]
    assert (resized.width, resized.height) == (451, 300)


def test_orientation_is_applied_and_then_gone() -> None:
    path = pictures.sample("friends.jpg")
    lying = pictures.vips.Image.new_from_file(str(path))
    assert (lying.get("orientation"), lying.width > lying.height) == (6, True)
    for output in rendered(path).values():
        assert output.height > output.width
        assert "orientation" not in pictures.load(output.data).get_fields()


def test_metadata_is_gone_and_the_colour_profile_kept(write: Write) -> None:
    source = pictures.with_metadata()
    before = pictures.load(source).get_fields()
    assert {"exif-data", "xmp-data", "icc-profile-data"} <= set(before)
    assert any("GPSLatitude" in field for field in before)
    for output in rendered(write(source)).values():
        fields = pictures.load(output.data).get_fields()
        assert "icc-profile-data" in fields
        assert not [f for f in fields if f.startswith(("exif", "xmp", "iptc"))]
        assert b"secret" not in output.data


def test_transparency_is_laid_on_white(write: Write) -> None:
    for bits, top in ((8, 255), (16, 65535)):
        clear = pictures.vips.Image.black(60, 40, bands=3)
        image = clear.bandjoin(0).cast("ushort" if bits == 16 else "uchar")
        image = image.copy(interpretation="rgb16" if bits == 16 else "srgb")
        shown = pictures.load(rendered(write(image.pngsave_buffer()))["thumbnail"].data)
        assert shown.avg() > 250, f"{bits} bits, white is {top}"


def test_cmyk_becomes_a_colour_that_browsers_show(write: Write) -> None:
    red = pictures.vips.Image.black(60, 40, bands=3).linear(1, [255, 0, 0]).cast("uchar")
    printed = red.copy(interpretation="srgb").icc_transform("cmyk", input_profile="srgb")
    source = printed.jpegsave_buffer()
    assert pictures.load(source).interpretation == "cmyk"
    assert pictures.load(source).get("icc-profile-data")[16:20] == b"CMYK"
    shown = pictures.load(rendered(write(source))["resized_compressed"].data)
    assert shown.interpretation == "srgb"
    assert shown.get("icc-profile-data")[16:20] == b"RGB "
    r, g, b = shown(30, 20)
    assert r > 180
    assert max(g, b) < 100


def test_only_the_first_frame_of_an_animation_is_taken(write: Write) -> None:
    frames = [pictures.vips.Image.black(40, 30, bands=3) + level for level in (200, 90, 10)]
    strip = pictures.vips.Image.arrayjoin(frames, across=1).cast("uchar").copy()
    strip = strip.copy(interpretation="srgb")
    strip.set_type(pictures.vips.GValue.gint_type, "page-height", 30)
    path = write(strip.gifsave_buffer())
    assert probe(path, LIMITS).pages == 3
    shown = rendered(path)["resized_compressed"]
    assert (shown.width, shown.height) == (40, 30)
    assert abs(pictures.load(shown.data).avg() - 200) < 4


def test_progress_is_the_engines_own_and_rises() -> None:
    seen: list[int] = []
    render(pictures.sample("mountains.jpg"), LIMITS, seen.append)
    assert len(seen) > 5
    assert seen == sorted(set(seen))
    assert 0 <= seen[0] < seen[-1] <= 100


def test_a_failing_report_stops_the_work_and_is_raised() -> None:
    class LeaseLost(Exception):
        pass

    calls: list[int] = []

    def report(percent: int) -> None:
        calls.append(percent)
        raise LeaseLost

    with pytest.raises(LeaseLost):
        render(pictures.sample("mountains.jpg"), LIMITS, report)
    assert len(calls) == 1


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".gif", ".avif"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_truncated_picture_is_an_error_and_not_half_grey(
    suffix: str, kept: float, write: Write
) -> None:
    whole = pictures.photograph(suffix)
    assert refused(write(whole[: int(len(whole) * kept)])) == "truncated_image"


def test_a_machine_without_memory_is_not_the_pictures_fault(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise pictures.vips.Error("unable to call thumbnail", "out of memory --- size == 48MB")

    monkeypatch.setattr(pictures.vips.Image, "thumbnail", fail)
    with pytest.raises(pictures.vips.Error):
        rendered(write(pictures.photograph()))


def test_a_damaged_picture_is_not_called_incomplete(write: Write) -> None:
    whole = bytearray(pictures.photograph(".png"))
    whole[len(whole) // 2] ^= 0xFF
    assert refused(write(bytes(whole))) == "damaged_image"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(b"", "empty_file", id="empty"),
        pytest.param(b"hello, world", "not_an_image", id="text"),
        pytest.param(b"\xff\xd8\xff" + bytes(200), "truncated_image", id="jpeg without picture"),
        pytest.param(pictures.SVG, "unsupported_type", id="svg"),
        pytest.param(b'<?xml version="1.0"?>' + pictures.SVG, "unsupported_type", id="xml"),
        pytest.param(b"%PDF-1.7 ...", "unsupported_type", id="pdf"),
        pytest.param(b"II*\x00" + bytes(100), "unsupported_type", id="tiff"),
        pytest.param(HEIC, "unsupported_type", id="heic"),
        pytest.param(pictures.png_claiming(100_000, 100_000), "too_many_pixels", id="bomb"),
        pytest.param(pictures.png_claiming(20_000, 1), "too_many_pixels", id="long side"),
        pytest.param(pictures.png_claiming(7072, 7072), "too_many_pixels", id="just over 50 MP"),
    ],
)
def test_bad_files_are_refused_by_their_header(data: bytes, code: str, write: Write) -> None:
    path = write(data)
    with pytest.raises(BadImage) as caught:
        probe(path, LIMITS)
    assert caught.value.code == code
    assert refused(path) == code


def test_the_decoders_of_other_formats_are_off() -> None:
    for data in (pictures.SVG, pictures.vips.Image.black(4, 4).tiffsave_buffer()):
        with pytest.raises(pictures.vips.Error):
            pictures.load(data)


def test_a_picture_lets_go_of_its_file_without_the_garbage_collector(write: Write) -> None:
    source = write(pictures.photograph())
    gc.disable()
    try:
        render(source, LIMITS, ignore)
    finally:
        gc.enable()
    assert str(source) not in Path("/proc/self/maps").read_text(encoding="utf-8")
