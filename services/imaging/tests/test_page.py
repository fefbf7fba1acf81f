"""The page in a real browser: pictures in, progress, pictures out."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from services.imaging.tests import pictures
from services.imaging.tests.browsing import (
    LOADED,
    NARROW,
    card,
    choose,
    drag,
    drop,
    opened,
    paste,
    row,
)
from services.imaging.tests.running import Running

pytestmark = pytest.mark.timeout(120)

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


@pytest.fixture
def page(browser: Browser, service: Running) -> Iterator[Page]:
    with opened(browser, service.url) as page:
        yield page


@pytest.fixture
def slow_file(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    # All tests share one gallery, so each looks for a name of its own.
    path = tmp_path / f"{request.node.name}.png"
    path.write_bytes(pictures.slow_png())
    return path


def test_upload_progress_thumbnail_and_reload(page: Page, slow_file: Path) -> None:
    page.evaluate(RECORD)
    choose(page, slow_file, pictures.sample("fig.jpg"))
    expect(card(page, slow_file.name)).to_be_visible(timeout=30_000)
    expect(card(page, "fig.jpg").first).to_be_visible(timeout=30_000)
    expect(page.locator("#activity")).to_be_hidden()

    seen = page.evaluate("seen")
    assert any(one["text"].startswith("Sending ") for one in seen)
    moving = [one for one in seen if one["state"] == "processing" and 0 < one["bar"] < 100]
    assert any(one["text"].startswith("Processing ") for one in moving), seen

    for _ in range(2):
        image = card(page, slow_file.name).locator("img")
        expect(image).to_be_visible()
        page.wait_for_function(LOADED, arg=image.element_handle())
        expect(card(page, slow_file.name).locator(".saved")).to_contain_text("%")
        page.reload()


def test_a_bad_file_is_explained_and_can_be_dismissed(page: Page) -> None:
    drop(page, "body", "notes.txt")
    expect(row(page, "notes.txt")).to_contain_text("This file is not a picture.")
    expect(page.locator("#announce")).to_contain_text("notes.txt: This file is not a picture.")
    expect(page.get_by_role("button", name="Retry notes.txt")).to_be_hidden()
    page.get_by_role("button", name="Dismiss notes.txt").click()
    expect(row(page, "notes.txt")).to_have_count(0)


def test_a_running_upload_can_be_cancelled(page: Page, slow_file: Path) -> None:
    page.evaluate(CANCEL_WHEN_PROCESSING)
    choose(page, slow_file)
    expect(row(page, slow_file.name)).to_contain_text("Cancelled", timeout=20_000)
    page.get_by_role("button", name=f"Dismiss {slow_file.name}").click()
    expect(page.locator("#activity")).to_be_hidden()


def test_what_is_sent_while_the_page_asks_what_runs_is_shown_once(
    page: Page, service: Running, slow_file: Path
) -> None:
    held: list[Route] = []
    sent: list[str] = []

    def hold_first(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.goto("about:blank")
    page.route("**/uploads?*", hold_first)
    page.on("request", lambda request: sent.append(request.method))
    with page.expect_request("**/uploads?*"):
        page.goto(service.url)
    choose(page, slow_file)
    expect(row(page, slow_file.name)).to_be_visible()
    # Or the answer would name it, too.
    assert "POST" not in sent
    held[0].continue_()
    expect(card(page, slow_file.name)).to_be_visible(timeout=30_000)
    assert sent.count("POST") == 1


def test_a_picture_can_be_pasted(page: Page) -> None:
    paste(page, "pasted.png")
    expect(row(page, "pasted.png")).to_contain_text("not a picture")


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    path.write_bytes(bytes(25_000_001))
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    choose(page, path)
    refused = "This file is too large. At most 25 MB are accepted."
    expect(row(page, "huge.jpg")).to_contain_text(refused)
    assert "POST" not in sent


def test_a_name_is_text_and_nothing_else(page: Page) -> None:
    name = "<img src=x onerror=alert(1)>.png"
    drop(page, "#drop", name)
    expect(page.locator(".row .name", has_text=name)).to_be_visible()


def test_the_whole_window_says_that_it_takes_what_is_dragged(page: Page) -> None:
    drag(page, "footer", "one.png")
    expect(page.get_by_text("Let go to upload")).to_be_visible()
    drop(page, "footer", "one.png")
    expect(row(page, "one.png")).to_contain_text("not a picture")


def test_what_could_not_be_sent_can_be_sent_again(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "offline.jpg"
    path.write_bytes(pictures.photograph())
    page.context.set_offline(True)
    choose(page, path)
    expect(row(page, "offline.jpg")).to_contain_text("The service cannot be reached.")
    page.context.set_offline(False)
    page.get_by_role("button", name="Retry offline.jpg").click()
    expect(card(page, "offline.jpg")).to_be_visible(timeout=20_000)


def test_a_phone_offers_its_camera(browser: Browser, service: Running) -> None:
    with opened(browser, service.url, viewport=NARROW, has_touch=True, is_mobile=True) as page:
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Take a photo").tap()
        assert chooser.value.element.get_attribute("capture") == "environment"
        expect(page.get_by_text("or paste with")).to_be_hidden()
