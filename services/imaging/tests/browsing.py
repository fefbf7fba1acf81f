"""Chromium, and what hands do to the page."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 375, "height": 812}
# The browser shall neither call home nor need a sandbox that containers do not allow.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_DRAG = """([kinds, target, ...names]) => {
  const dataTransfer = new DataTransfer();
  for (const name of names) {
    dataTransfer.items.add(new File(["no picture"], name, {type: "image/png"}));
  }
  for (const kind of kinds) {
    const event = new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer});
    document.querySelector(target).dispatchEvent(event);
  }
}"""
_PASTE = """name => {
  const clipboardData = new DataTransfer();
  clipboardData.items.add(new File(["no picture"], name, {type: "image/png"}));
  document.body.dispatchEvent(new ClipboardEvent("paste", {bubbles: true, clipboardData}));
}"""
# A machine may have other things to do; a test that fails is late, none is early.
expect.set_options(timeout=15_000)
LOADED = "image => image.complete && image.naturalWidth > 0"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = _launched(playwright)
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """Open the page in a fresh profile; a complaint of the browser's about it fails the test."""
    context = browser.new_context(**{"viewport": WIDE, **options})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(url)
    expect(page.locator("#choose, #key").locator("visible=true")).to_be_visible()
    yield page
    context.close()
    # A refused upload is a failed request to the browser, and no fault of the page.
    faults = [text for text in complaints if "Failed to load resource" not in text]
    assert not faults, faults


def row(page: Page, name: str) -> Any:
    return page.locator(".row", has_text=name)


def card(page: Page, name: str) -> Any:
    return page.locator(".card", has_text=name)


def choose(page: Page, *paths: Path) -> None:
    page.set_input_files("#files", [str(path) for path in paths])


def drag(page: Page, target: str, *names: str) -> None:
    """Hold files over the element, without letting go."""
    page.evaluate(_DRAG, [["dragenter", "dragover"], target, *names])


def drop(page: Page, target: str, *names: str) -> None:
    """Drop files of no use onto the element, as a hand would."""
    page.evaluate(_DRAG, [["dragenter", "dragover", "drop"], target, *names])


def paste(page: Page, name: str) -> None:
    page.evaluate(_PASTE, name)


def _launched(playwright: Playwright) -> Browser:
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        assert os.environ.get("CI") != "true", "CI must have chromium"
        pytest.skip("there is no chromium on this machine")
    return playwright.chromium.launch(executable_path=executable, args=FLAGS)
