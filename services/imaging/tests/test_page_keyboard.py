"""The page without a mouse."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from services.imaging.tests import pictures
from services.imaging.tests.browsing import card, choose, drop, opened, row
from services.imaging.tests.running import Running

pytestmark = pytest.mark.timeout(120)

FOCUSED = "document.activeElement.ariaLabel || document.activeElement.textContent.trim()"
ASKED = "files.addEventListener('click', () => { window.asked = true; })"


def tab_to(page: Page, name: str, limit: int = 30) -> None:
    """Press Tab until the element of this name has the focus, and can be seen to have it."""
    for _ in range(limit):
        page.keyboard.press("Tab")
        if page.evaluate(FOCUSED) == name:
            outline = "getComputedStyle(document.activeElement).outlineStyle"
            assert page.evaluate(outline) == "solid", name
            return
    raise AssertionError(f"Tab never comes to {name}")


def test_a_picture_is_uploaded_looked_at_and_deleted(
    browser: Browser, own_service: Running, tmp_path: Path
) -> None:
    own_service.start()
    path = tmp_path / "keys.jpg"
    path.write_bytes(pictures.photograph())
    with opened(browser, own_service.url) as page:
        # Keys that playwright presses do not count as a person's for a file chooser.
        page.evaluate(ASKED)
        tab_to(page, "Choose pictures")
        page.keyboard.press("Enter")
        assert page.evaluate("asked")
        choose(page, path)
        expect(card(page, "keys.jpg")).to_be_visible(timeout=20_000)
        expect(page.locator("#announce")).to_contain_text("keys.jpg is ready.")

        tab_to(page, "Open keys.jpg")
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Close")).to_be_focused()
        # What is behind a dialog is out of reach.
        seen = set()
        for _ in range(30):
            page.keyboard.press("Tab")
            seen.add(page.evaluate(FOCUSED))
        assert {"Download original", "Delete keys.jpg", "Copy link to Thumbnail"} <= seen
        assert "Choose pictures" not in seen
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="Open keys.jpg")).to_be_focused()

        tab_to(page, "Delete keys.jpg")
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Keep it")).to_be_focused()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(card(page, "keys.jpg")).to_have_count(0)
        expect(page.locator("#gallery")).to_be_focused()
        expect(page.locator("#announce")).to_have_text("keys.jpg was deleted.")


def test_focus_goes_on_when_a_message_is_dismissed(browser: Browser, service: Running) -> None:
    with opened(browser, service.url) as page:
        drop(page, "body", "one.txt", "two.txt")
        expect(row(page, "not a picture")).to_have_count(2)
        tab_to(page, "Dismiss one.txt")
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Dismiss two.txt")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Choose pictures")).to_be_focused()


def test_the_filter_moves_with_the_arrows(browser: Browser, service: Running) -> None:
    with opened(browser, service.url) as page:
        page.get_by_role("radio", name="Ready").focus()
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("radio", name="Failed")).to_be_checked()


def test_the_gallery_is_one_step_away(browser: Browser, service: Running) -> None:
    with opened(browser, service.url) as page:
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the gallery")).to_be_in_viewport()
        page.keyboard.press("Enter")
        expect(page.locator("#gallery")).to_be_focused()
