"""The page in a real browser: what a person sees and can do."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from services.imaging.tests import pictures
from services.imaging.tests.running import Running

pytestmark = pytest.mark.timeout(120)

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
# Drops a file onto the element, as a hand would.
DROP = """([target, name, text]) => {
  const carried = new DataTransfer();
  carried.items.add(new File([text], name, {type: "image/png"}));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    const event = new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: carried});
    document.querySelector(target).dispatchEvent(event);
  }
}"""
PASTE = """([name, text]) => {
  const clipboardData = new DataTransfer();
  clipboardData.items.add(new File([text], name, {type: "image/png"}));
  document.body.dispatchEvent(new ClipboardEvent("paste", {bubbles: true, clipboardData}));
}"""
# Notes every text that the row has shown, for what is fast to pass must not be missed.
RECORD = """() => {
  window.seen = [];
  new MutationObserver(() => {
    for (const row of document.querySelectorAll("#rows .row")) {
      const bar = parseFloat(row.querySelector(".segment.done i").style.width) || 0;
      seen.push({state: row.dataset.state, text: row.querySelector(".state").textContent, bar});
    }
  }).observe(document.getElementById("rows"), {subtree: true, childList: true, attributes: true});
}"""
# A hand of playwright's may be slower than the work, so the page presses the button itself.
CANCEL_WHEN_PROCESSING = """() => {
  const watch = new MutationObserver(() => {
    const row = document.querySelector("#rows .row[data-state=processing]");
    if (row) { watch.disconnect(); row.querySelector("button[aria-label^=Cancel]").click(); }
  });
  const all = {subtree: true, childList: true, attributes: true};
  watch.observe(document.getElementById("rows"), all);
}"""
COUNT_STREAMS = """() => {
  window.most = 0;
  let open = 0;
  window.EventSource = class extends EventSource {
    constructor(url) { super(url); open += 1; window.most = Math.max(window.most, open); }
    close() { super.close(); open -= 1; }
  };
}"""
LOADED = "image => image.complete && image.naturalWidth > 0"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        assert os.environ.get("CI") != "true", "CI must have chromium"
        pytest.skip("there is no chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, service: Running) -> Iterator[Page]:
    """The open page; a complaint of the browser's about it fails the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(service.url)
    expect(page.locator("#choose")).to_be_visible()
    yield page
    context.close()
    # A refused upload is a failed request to the browser, and no fault of the page.
    assert [text for text in complaints if "Failed to load resource" not in text] == []


@pytest.fixture
def slow_file(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    # All tests share one gallery, so each looks for a name of its own.
    path = tmp_path / f"{request.node.name}.png"
    path.write_bytes(pictures.slow_png())
    return path


def test_upload_progress_thumbnail_and_reload(page: Page, slow_file: Path) -> None:
    page.evaluate(RECORD)
    page.set_input_files("#files", [str(slow_file), str(pictures.sample("fig.jpg"))])
    card = page.locator(".card", has_text=slow_file.name)
    expect(card).to_be_visible(timeout=30_000)
    expect(page.locator(".card", has_text="fig.jpg").first).to_be_visible(timeout=30_000)
    expect(page.locator("#activity")).to_be_hidden()

    seen = page.evaluate("seen")
    assert any(one["state"] == "sending" for one in seen)
    moving = [one for one in seen if one["state"] == "processing" and 0 < one["bar"] < 100]
    assert any(one["text"].startswith("Processing ") for one in moving), seen

    for _ in range(2):
        image = card.locator("img")
        expect(image).to_be_visible()
        page.wait_for_function(LOADED, arg=image.element_handle())
        measures = "7000 \N{MULTIPLICATION SIGN} 7000 \N{RIGHTWARDS ARROW} 1024"
        expect(card).to_contain_text(measures)
        page.reload()


def test_a_bad_file_is_explained_and_can_be_dismissed(page: Page) -> None:
    page.evaluate(DROP, ["body", "notes.txt", "no picture"])
    row = page.locator(".row", has_text="notes.txt")
    expect(row).to_contain_text("This file is not a picture.")
    expect(page.locator("#announce")).to_contain_text("notes.txt: This file is not a picture.")
    page.get_by_role("button", name="Dismiss notes.txt").click()
    expect(row).to_have_count(0)


def test_a_running_upload_can_be_cancelled(page: Page, slow_file: Path) -> None:
    page.evaluate(CANCEL_WHEN_PROCESSING)
    page.set_input_files("#files", str(slow_file))
    row = page.locator(".row", has_text=slow_file.name)
    expect(row).to_contain_text("Cancelled", timeout=20_000)
    page.get_by_role("button", name=f"Dismiss {slow_file.name}").click()
    expect(page.locator("#activity")).to_be_hidden()


def test_a_picture_can_be_pasted(page: Page) -> None:
    page.evaluate(PASTE, ["pasted.png", "no picture"])
    expect(page.locator(".row", has_text="pasted.png")).to_contain_text("not a picture")


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    path.write_bytes(bytes(25_000_001))
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    page.set_input_files("#files", str(path))
    row = page.locator(".row", has_text="huge.jpg")
    expect(row).to_contain_text("This file is too large. At most 25 MB are accepted.")
    assert "POST" not in sent


def test_a_name_is_text_and_nothing_else(page: Page) -> None:
    name = "<img src=x onerror=alert(1)>.png"
    page.evaluate(DROP, ["#drop", name, "no picture"])
    expect(page.locator(".row .name", has_text=name)).to_be_visible()


def test_more_files_than_a_browser_has_connections(page: Page, tmp_path: Path) -> None:
    files = []
    for number in range(12):
        path = tmp_path / f"many-{number}.jpg"
        path.write_bytes(pictures.photograph())
        files.append(str(path))
    page.evaluate(COUNT_STREAMS)
    page.set_input_files("#files", files)
    expect(page.locator(".card", has_text="many-")).to_have_count(12, timeout=40_000)
    assert 0 < page.evaluate("most") <= 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1440])
def test_nothing_is_cut_off_or_too_faint(
    browser: Browser, service: Running, scheme: str, width: int
) -> None:
    service.finished(service.accepted("long-" * 30 + ".jpg", pictures.photograph()))
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    page.goto(service.url)
    expect(page.locator(".card").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for text in (".lead", ".hint", "#choose", ".card .bytes", ".count"):
        assert page.evaluate(CONTRAST, text) >= 4.5, text
    context.close()


# WCAG's contrast of an element's text with what is behind it.
CONTRAST = """selector => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].reduce((sum, c, i) => {
    const s = c / 255;
    const linear = s <= 0.03928 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
    return sum + linear * [0.2126, 0.7152, 0.0722][i];
  }, 0);
  let behind = document.querySelector(selector);
  const ink = light(rgb(getComputedStyle(behind).color));
  const clear = (e) => { const c = rgb(getComputedStyle(e).backgroundColor); return c[3] === 0; };
  while (clear(behind)) behind = behind.parentElement;
  const ground = light(rgb(getComputedStyle(behind).backgroundColor));
  return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
}"""
