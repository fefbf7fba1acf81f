"""What everybody must be able to see and use: widths, schemes, contrast, axe's rules, policy."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

import imaging
from services.imaging.tests import pictures
from services.imaging.tests.browsing import NARROW, WIDE, card, choose, drop, opened, row
from services.imaging.tests.running import Running

pytestmark = pytest.mark.timeout(120)

Scheme = Literal["light", "dark"]
STATIC = Path(imaging.__file__).parent / "static"
LONG = "long-" * 30 + ".jpg"
SIZES = pytest.mark.parametrize("size", [NARROW, WIDE], ids=["375", "1440"])
SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])
# WCAG's contrast of each element's text with what is behind it.
CONTRAST = """elements => elements.filter(e => e.checkVisibility()).map(element => {
  const rgb = (text) => {
    const numbers = text.match(/[\\d.]+/g).map(Number);
    return text.startsWith("color(") ? numbers.map((n, i) => i < 3 ? 255 * n : n) : numbers;
  };
  const light = ([r, g, b]) => [r, g, b].reduce((sum, c, i) => {
    const s = c / 255;
    const linear = s <= 0.03928 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
    return sum + linear * [0.2126, 0.7152, 0.0722][i];
  }, 0);
  let behind = element;
  const ink = light(rgb(getComputedStyle(element).color));
  const clear = (e) => rgb(getComputedStyle(e).backgroundColor)[3] === 0;
  while (clear(behind)) behind = behind.parentElement;
  const ground = light(rgb(getComputedStyle(behind).backgroundColor));
  return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
})"""
TEXTS = (
    ".lead, .hint, .or, #choose, .count, .name, .state, .bytes, .after, .saved, .filter span, "
    "#batch-text, #batch-percent, .button, footer p, dt, dd, .variant-facts, .title, h1, h2, h3, "
    ".why, .empty"
)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service with a picture of an unkind name, one that failed, and no worker any more."""
    with Running(tmp_path_factory.mktemp("look")) as running:
        process = running.start()
        running.finished(running.accepted(LONG, pictures.photograph()))
        running.finished(running.accepted("half.jpg", pictures.photograph()[:20_000]))
        process.terminate()
        process.wait()
        running.start(IMAGING_WORKER="False")
        yield running


def views(page: Page, folder: Path) -> Iterator[str]:
    """Take the page through what it can look like."""
    yield "gallery"
    page.get_by_role("radio", name="All").check(force=True)
    expect(card(page, "half.jpg")).to_be_visible()
    paths = [folder / name for name in ("one.jpg", LONG)]
    for path in paths:
        path.write_bytes(pictures.photograph())
    choose(page, *paths)
    drop(page, "body", "notes.txt")
    expect(row(page, "notes.txt")).to_contain_text("not a picture")
    expect(row(page, "Waiting for its turn")).to_have_count(2)
    yield "at work"
    page.locator("button.picture").click()
    expect(page.locator("#close")).to_be_focused()
    yield "lightbox"
    page.locator("#delete").click()
    expect(page.locator("#confirm")).to_be_visible()
    yield "question"
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Cancel all").click()
    expect(row(page, "Cancelled")).to_have_count(2)
    yield "over"


def overflow(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


def violations(page: Page) -> dict[str, Any]:
    found = Axe().run(page).response["violations"]
    return {one["id"]: [node["html"][:120] for node in one["nodes"]] for one in found}


@SCHEMES
@SIZES
def test_nothing_is_cut_off_too_faint_or_against_the_rules(
    browser: Browser, filled: Running, tmp_path: Path, scheme: Scheme, size: Any
) -> None:
    phone = size is NARROW
    look = {"color_scheme": scheme, "viewport": size, "has_touch": phone, "is_mobile": phone}
    # Without motion, colours are what they will be.
    with opened(browser, filled.url, **look, reduced_motion="reduce") as page:
        expect(card(page, LONG)).to_be_visible()
        for view in views(page, tmp_path):
            assert overflow(page) <= 0, view
            faint = [c for c in page.eval_on_selector_all(TEXTS, CONTRAST) if c < 4.5]
            assert faint == [], view
            assert violations(page) == {}, view


def test_the_scheme_follows_the_system(browser: Browser, filled: Running) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    with opened(browser, filled.url, color_scheme="light") as page:
        light = page.evaluate(ground)
        page.emulate_media(color_scheme="dark")
        assert page.evaluate(ground) != light


def test_whoever_wants_no_motion_gets_none(browser: Browser, filled: Running) -> None:
    moving = "document.getAnimations({subtree: true}).length"
    with opened(browser, filled.url, reduced_motion="reduce") as page:
        page.locator(".card").first.hover()
        page.locator("button.picture").click()
        assert page.evaluate(moving) == 0


def test_the_policy_allows_no_script_or_style_but_the_services_own(
    browser: Browser, filled: Running
) -> None:
    policy = filled.client.get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "unsafe" not in policy
    inline = "Object.assign(document.createElement('script'), {textContent: 'ran = true'})"
    refused = pytest.raises(AssertionError, match="Content Security Policy")
    with refused, opened(browser, filled.url) as page:
        page.evaluate(f"document.body.append({inline})")
        assert page.evaluate("window.ran") is None


def test_the_page_asks_nobody_else_and_holds_no_inline_code() -> None:
    html = (STATIC / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)", html)
    for path in STATIC.iterdir():
        foreign = re.findall(r"https?://[^\s'\"]+", path.read_text())
        assert set(foreign) <= {"http://www.w3.org/2000/svg"}, path.name
