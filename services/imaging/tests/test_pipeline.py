"""What comes out of good pictures, and how bad ones are refused."""

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from imaging.orders import BadImage, Limits, Order, Rendered
from imaging.pipeline import probe, render
from imaging.presets import DEFAULT, Fit, Format, Preset
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


@dataclass(frozen=True)
class Made:
    """An output and its bytes."""

    width: int
    height: int
    data: bytes


def render_all(path: Path, presets: Sequence[Preset]) -> tuple[Rendered, dict[str, Made]]:
    with TemporaryDirectory() as folder:
        orders = [Order(preset, Path(folder, preset.file)) for preset in presets]
        found = render(path, LIMITS, orders, ignore)
        made = {order.preset.name: order.target.read_bytes() for order in orders}
    assert {name: len(data) for name, data in made.items()} == {
        name: output.bytes for name, output in found.outputs.items()
    }
    return found, {
        name: Made(output.width, output.height, made[name])
        for name, output in found.outputs.items()
    }


def rendered(path: Path, presets: Sequence[Preset] = DEFAULT) -> dict[str, Made]:
    return render_all(path, presets)[1]


def one(path: Path, **options: object) -> Made:
    """Make a single output."""
    preset = Preset.model_validate({"name": "one", "width": 64, "height": 64, **options})
    return rendered(path, [preset])["one"]


def refused(path: Path) -> str:
    with pytest.raises(BadImage) as caught:
        rendered(path)
    assert str(path) not in caught.value.detail
    return caught.value.code


@pytest.mark.parametrize("path", sample_photographs(), ids=lambda path: path.name)
def test_photographs_become_what_the_presets_say(path: Path) -> None:
    loaders = {"jpeg": "jpegload", "webp": "webpload", "avif": "heifload"}
    found, outputs = render_all(path, DEFAULT)
    assert list(outputs) == [preset.name for preset in DEFAULT]
    shape = found.original.width / found.original.height
    for preset in DEFAULT:
        output = outputs[preset.name]
        image = pictures.load(output.data)
        assert image.get("vips-loader") == f"{loaders[preset.format]}_buffer"
        assert (image.width, image.height) == (output.width, output.height)
        assert output.width <= preset.width
        assert output.height <= preset.height
        if preset.fit is Fit.INSIDE:
            assert output.width / output.height == pytest.approx(shape, rel=0.02)
        else:
            assert output.width == output.height


def test_the_largest_output_decides_how_much_is_decoded() -> None:
    """A square of a wide picture needs more of it than its thumbnail does."""
    path = pictures.sample("dandelions.jpg")  # 2880 x 1620
    presets = [
        Preset(name="small", width=100, height=100),
        Preset(name="tall", width=200, height=1200, fit=Fit.COVER),
    ]
    outputs = rendered(path, presets)
    assert (outputs["small"].width, outputs["small"].height) == (100, 56)
    assert (outputs["tall"].width, outputs["tall"].height) == (200, 1200)


def bars() -> bytes:
    """A wide picture, black but for a busy part at its right end."""
    ramp = pictures.vips.Image.gaussnoise(60, 100, mean=128, sigma=60).cast("uchar")
    image = pictures.vips.Image.black(400, 100).insert(ramp, 340, 0)
    return bytes(image.copy(interpretation="b-w").colourspace("srgb").jpegsave_buffer())


def test_a_crop_takes_the_middle_or_what_draws_the_eye(write: Write) -> None:
    middle, busy = (
        pictures.load(one(write(bars()), width=50, height=50, fit=fit).data)
        for fit in ("cover", "attention")
    )
    assert (middle.width, middle.height) == (busy.width, busy.height) == (50, 50)
    assert middle.avg() < 5
    assert busy.avg() > 20


@pytest.mark.parametrize(
    ("width", "height", "expected"), [(400, 400, (300, 300)), (900, 300, (451, 150))]
)
def test_a_crop_of_a_small_picture_keeps_its_shape(
    width: int, height: int, expected: tuple[int, int]
) -> None:
    output = one(pictures.sample("cat.png"), width=width, height=height, fit="cover")
    assert (output.width, output.height) == expected


def test_quality_is_the_encoders() -> None:
    path = pictures.sample("fig.jpg")
    for kind in ("jpeg", "webp", "avif"):
        low, high = (one(path, format=kind, quality=quality) for quality in (20, 90))
        assert len(low.data) < 0.7 * len(high.data)


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
    found, outputs = render_all(path, DEFAULT)
    assert (found.original.width, found.original.height) == (lying.height, lying.width)
    for name, output in outputs.items():
        assert output.height > output.width or name == "square"
        assert "orientation" not in pictures.load(output.data).get_fields()


@pytest.mark.parametrize("kind", list(Format))
def test_metadata_is_gone_and_the_colour_profile_kept(kind: Format, write: Write) -> None:
    source = pictures.with_metadata()
    before = pictures.load(source).get_fields()
    assert {"exif-data", "xmp-data", "iptc-data", "icc-profile-data"} <= set(before)
    assert any("GPSLatitude" in field for field in before)
    output = one(write(source), format=kind, width=200, height=200)
    assert output.height > output.width, "it lay on its side"
    fields = pictures.load(output.data).get_fields()
    assert "icc-profile-data" in fields
    assert not [f for f in fields if f.startswith(("exif", "xmp", "iptc", "orientation"))]
    for word in (b"secret", b"Nokia", b"Exif", b"photoshop", b"xmpmeta"):
        assert word not in output.data


def test_when_a_photograph_was_taken_is_kept(write: Write) -> None:
    found, _ = render_all(write(pictures.with_metadata()), DEFAULT[:1])
    assert found.taken_at == datetime.fromisoformat("2026-11-21T10:11:12+01:00")


@pytest.mark.parametrize(
    "said", ["0000:00:00 00:00:00", "    :  :     :  :  ", "yesterday", "2026:13:41 10:11:12"]
)
def test_a_camera_without_a_clock_says_nothing(said: str, write: Write) -> None:
    assert render_all(write(pictures.taken(said)), DEFAULT[:1])[0].taken_at is None


def test_transparency_is_laid_on_white(write: Write) -> None:
    for bits, top in ((8, 255), (16, 65535)):
        clear = pictures.vips.Image.black(60, 40, bands=3)
        image = clear.bandjoin(0).cast("ushort" if bits == 16 else "uchar")
        image = image.copy(interpretation="rgb16" if bits == 16 else "srgb")
        found, outputs = render_all(write(image.pngsave_buffer()), DEFAULT[:2])
        shown = pictures.load(outputs["thumbnail"].data)
        assert shown.avg() > 250, f"{bits} bits, white is {top}"
        assert found.colour == "#ffffff"


@pytest.mark.parametrize("kind", ["png", "webp", "avif"])
def test_transparency_stays_where_the_format_has_it(kind: str, write: Write) -> None:
    clear = pictures.vips.Image.black(60, 40, bands=4).copy(interpretation="srgb")
    shown = pictures.load(one(write(clear.pngsave_buffer()), format=kind).data)
    assert shown.hasalpha()
    assert shown[3].max() == 0


def test_the_colour_is_the_one_there_is_most_of(write: Write) -> None:
    blue = pictures.vips.Image.black(300, 200, bands=3).linear(1, [20, 40, 200]).cast("uchar")
    red = pictures.vips.Image.black(100, 200, bands=3).linear(1, [200, 20, 20]).cast("uchar")
    image = blue.copy(interpretation="srgb").insert(red, 0, 0)
    found, _ = render_all(write(image.pngsave_buffer()), DEFAULT[:1])
    assert found.colour == "#1428c8"


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


def test_progress_is_the_engines_own_and_rises(tmp_path: Path) -> None:
    seen: list[int] = []
    render(
        pictures.sample("mountains.jpg"), LIMITS, [Order(DEFAULT[0], tmp_path / "x")], seen.append
    )
    assert len(seen) > 5
    assert seen == sorted(set(seen))
    assert 0 <= seen[0] < seen[-1] == 100


def test_a_failing_report_stops_the_work_and_is_raised(tmp_path: Path) -> None:
    class LeaseLost(Exception):
        pass

    calls: list[int] = []

    def report(percent: int) -> None:
        calls.append(percent)
        raise LeaseLost

    with pytest.raises(LeaseLost):
        render(
            pictures.sample("mountains.jpg"), LIMITS, [Order(DEFAULT[0], tmp_path / "x")], report
        )
    assert len(calls) == 1
    assert not list(tmp_path.iterdir())


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
        raise pictures.vips.Error("thumbnail_image failed", "out of memory --- size == 48MB")

    monkeypatch.setattr(pictures.vips.Image, "thumbnail_image", fail)
    with pytest.raises(MemoryError):
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
        rendered(source)
    finally:
        gc.enable()
    assert str(source) not in Path("/proc/self/maps").read_text(encoding="utf-8")
