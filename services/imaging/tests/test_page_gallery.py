"""What is over: the gallery, its filter and pages, the lightbox, deleting."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from services.imaging.tests import pictures
from services.imaging.tests.browsing import LOADED, card, opened
from services.imaging.tests.running import Running

pytestmark = pytest.mark.timeout(120)

NAMES = ("first.jpg", "second.jpg", "third.jpg")

DECODE = """async hash => {
  const { data, width, height } = (await import("/static/thumbhash.js")).decode(hash);
  const at = (x, y) => Array.from(data.slice(4 * (y * width + x), 4 * (y * width + x) + 4));
  return [[width, height], at(width - 1, 0), at(width >> 1, height >> 1), at(0, height - 1)];
}"""
# Size and three pixels, as the algorithm's author's own code decodes them.
THUMBHASHES = {
    "3OcRJYB4d3h/iIeHeEh3eIhw+j3A": [
        [32, 23],
        [124, 136, 159, 255],
        [112, 124, 139, 255],
        [90, 103, 39, 255],
    ],
    "2fcZFIB3iId/h3iJh4aIYJ2V8g": [
        [32, 18],
        [189, 193, 196, 255],
        [60, 64, 81, 255],
        [58, 62, 22, 255],
    ],
    "YJqGPQw7sFlslqhFafSE+Q6oJ1h2iHB2Rw": [
        [32, 32],
        [192, 167, 23, 0],
        [107, 102, 109, 255],
        [255, 33, 9, 0],
    ],
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service with three pictures and one that is cut off."""
    with Running(tmp_path_factory.mktemp("filled")) as running:
        running.start()
        for name in NAMES:
            running.finished(running.accepted(name, pictures.photograph()))
        running.finished(running.accepted("half.jpg", pictures.photograph()[:20_000]))
        yield running


@pytest.fixture
def page(browser: Browser, filled: Running) -> Iterator[Page]:
    with opened(browser, filled.url) as page:
        expect(card(page, ".jpg").first).to_be_visible()
        yield page


def shown(page: Page) -> str:
    return page.locator("#lightbox-name").inner_text()


def test_the_filter_shows_what_failed_and_why(page: Page) -> None:
    expect(card(page, "half.jpg")).to_have_count(0)
    page.get_by_role("radio", name="Failed").check(force=True)
    expect(page.locator(".card")).to_have_count(1)
    expect(card(page, "half.jpg")).to_contain_text("This picture is incomplete")
    # The same bytes would end the same way.
    expect(page.get_by_role("button", name="Retry half.jpg")).to_be_hidden()
    page.get_by_role("radio", name="Cancelled").check(force=True)
    expect(page.get_by_text("Nothing was cancelled.")).to_be_visible()
    page.get_by_role("radio", name="All").check(force=True)
    expect(page.locator(".card")).to_have_count(len(NAMES) + 1)


def test_the_lightbox_goes_through_the_pictures(page: Page) -> None:
    newest_first = page.locator(".card .name").all_inner_texts()
    card(page, newest_first[0]).get_by_role("button", name="Open").click()
    image = page.locator("#stage-image")
    page.wait_for_function(LOADED, arg=image.element_handle())
    expect(page.locator("#previous")).to_be_disabled()
    for name in newest_first[1:]:
        page.keyboard.press("ArrowRight")
        expect(page.locator("#lightbox-name")).to_have_text(name)
        expect(page.locator("#lightbox-announce")).to_have_text(name)
    expect(page.locator("#next")).to_be_disabled()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#lightbox-name")).to_have_text(newest_first[-2])
    page.keyboard.press("Escape")
    expect(page.locator("#lightbox")).to_be_hidden()
    # The keyboard is where the eye is: at the picture that was seen last.
    expect(page.get_by_role("button", name=f"Open {newest_first[-2]}")).to_be_focused()


def test_each_version_is_shown_downloaded_and_linked(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Open first.jpg").click()
    thumbnail = page.locator(".variant", has_text="Thumbnail")
    expect(thumbnail).to_contain_text("JPEG")
    thumbnail.locator(".view").click()
    expect(thumbnail.locator(".view")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#stage-image")).to_have_js_property("naturalWidth", 256)

    with page.expect_download() as download:
        page.get_by_role("link", name="Download Thumbnail").click()
    assert download.value.path().read_bytes().startswith(b"\xff\xd8")
    with page.expect_download() as original:
        page.get_by_role("link", name="Download original").click()
    assert original.value.path().read_bytes() == pictures.photograph()

    page.get_by_role("button", name="Copy link to Thumbnail").click()
    expect(page.locator("#lightbox-announce")).to_have_text("The link was copied.")
    link = page.evaluate("navigator.clipboard.readText()")
    assert page.request.get(link).headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize("thumbhash", THUMBHASHES)
def test_a_placeholder_is_what_its_hash_says(page: Page, thumbhash: str) -> None:
    size, *pixels = page.evaluate(DECODE, thumbhash)
    expected_size, *expected = THUMBHASHES[thumbhash]
    assert size == expected_size
    for pixel, wanted in zip(pixels, expected, strict=True):
        # One of the two rounds, the other cuts off.
        assert pixel == pytest.approx(wanted, abs=1)


def test_a_placeholder_is_there_before_the_picture(browser: Browser, filled: Running) -> None:
    with opened(browser, filled.url) as page:
        page.route("**/files/**", lambda _route: None)
        page.reload()
        hashed = card(page, "first.jpg").locator("canvas")
        expect(hashed).to_be_visible()
        assert page.locator(".picture img.coming").count() == len(NAMES)
        seen = "canvas => canvas.getContext('2d').getImageData(9, 9, 1, 1).data.join()"
        # The photograph is of a red fruit on grey.
        red, _, _, opaque = map(int, hashed.evaluate(seen).split(","))
        assert (red > 40, opaque) == (True, 255)


def test_deleting_asks_first_and_goes_on_to_the_next(page: Page, filled: Running) -> None:
    filled.finished(filled.accepted("doomed.jpg", pictures.photograph()))
    page.reload()
    before = page.locator(".card")
    expect(before).to_have_count(len(NAMES) + 1)
    page.get_by_role("button", name="Open doomed.jpg").click()
    page.locator("#delete").click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.locator("#lightbox-name")).to_have_text("doomed.jpg")
    page.locator("#delete").click()
    page.locator("#confirm").get_by_role("button", name="Delete").click()
    expect(page.locator("#lightbox-name")).to_have_text("third.jpg")
    page.keyboard.press("Escape")
    expect(card(page, "doomed.jpg")).to_have_count(0)
    page.reload()
    expect(before).to_have_count(len(NAMES))


def test_older_pictures_come_when_asked_for(browser: Browser, own_service: Running) -> None:
    own_service.start()
    ids = [own_service.accepted(f"{i}.jpg", pictures.photograph()) for i in range(26)]
    for one in ids:
        own_service.finished(one)
    with opened(browser, own_service.url) as page:
        expect(page.locator(".card")).to_have_count(24)
        page.get_by_role("button", name="Show older pictures").click()
        expect(page.locator(".card")).to_have_count(26)
        expect(page.get_by_role("button", name="Open 1.jpg", exact=True)).to_be_focused()
        expect(page.locator("#more")).to_be_hidden()
