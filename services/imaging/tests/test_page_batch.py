"""Several files at once, and what becomes of those that are stopped."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from services.imaging.tests import pictures
from services.imaging.tests.browsing import card, choose, opened, row
from services.imaging.tests.running import Running

pytestmark = pytest.mark.timeout(120)

COUNT_STREAMS = """() => {
  window.most = 0;
  let open = 0;
  window.EventSource = class extends EventSource {
    constructor(url) { super(url); open += 1; window.most = Math.max(window.most, open); }
    close() { super.close(); open -= 1; }
  };
}"""


@pytest.fixture
def idle(own_service: Running) -> Running:
    """A service whose pictures wait, for its worker is not started yet."""
    own_service.start(IMAGING_WORKER="False")
    return own_service


@pytest.fixture
def page(browser: Browser, idle: Running) -> Iterator[Page]:
    with opened(browser, idle.url) as page:
        yield page


def photographs(folder: Path, number: int) -> list[Path]:
    paths = [folder / f"many-{i}.jpg" for i in range(number)]
    for path in paths:
        path.write_bytes(pictures.photograph())
    return paths


def test_a_batch_is_shown_as_a_whole_cancelled_retried_and_finished(
    page: Page, idle: Running, tmp_path: Path
) -> None:
    whole, bar = page.locator("#batch-text"), page.locator("#batch-bar")
    choose(page, *photographs(tmp_path, 3))
    expect(row(page, "Waiting for its turn")).to_have_count(3)
    expect(whole).to_have_text("0 of 3 pictures ready")
    # Sent, and nothing more: four tenths of the way.
    expect(bar).to_have_attribute("aria-valuenow", "40")

    page.get_by_role("button", name="Cancel many-1.jpg").click()
    expect(row(page, "many-1.jpg")).to_contain_text("Cancelled")
    expect(whole).to_have_text("0 of 3 pictures ready, 1 cancelled")
    expect(bar).to_have_attribute("aria-valuenow", "60")
    page.get_by_role("button", name="Cancel all").click()
    expect(row(page, "Cancelled")).to_have_count(3)
    expect(page.locator("#activity-title")).to_have_text("Not processed")

    page.get_by_role("button", name="Retry many-0.jpg").click()
    expect(row(page, "many-0.jpg")).to_contain_text("Waiting for its turn")
    idle.start_worker()
    expect(card(page, "many-0.jpg")).to_be_visible(timeout=30_000)
    expect(whole).to_have_text("1 of 3 pictures ready, 2 cancelled")
    page.get_by_role("button", name="Clear messages").click()
    expect(page.locator("#activity")).to_be_hidden()


def test_a_reload_takes_up_what_is_at_work(page: Page, idle: Running, tmp_path: Path) -> None:
    choose(page, *photographs(tmp_path, 2))
    expect(row(page, "Waiting for its turn")).to_have_count(2)
    page.reload()
    expect(row(page, "Waiting for its turn")).to_have_count(2)
    idle.start_worker()
    expect(card(page, "many-")).to_have_count(2, timeout=30_000)


def test_more_files_than_a_browser_has_connections(
    browser: Browser, service: Running, tmp_path: Path
) -> None:
    with opened(browser, service.url) as page:
        page.evaluate(COUNT_STREAMS)
        choose(page, *photographs(tmp_path, 12))
        expect(card(page, "many-")).to_have_count(12, timeout=40_000)
        assert 0 < page.evaluate("most") <= 3


def test_a_full_service_is_asked_again_when_it_said(
    browser: Browser, own_service: Running, tmp_path: Path
) -> None:
    own_service.start(IMAGING_WORKER="False", IMAGING_MAX_PENDING="1")
    first, second = photographs(tmp_path, 2)
    with opened(browser, own_service.url) as page:
        page.clock.install()
        choose(page, first)
        expect(row(page, "Waiting for its turn")).to_have_count(1)
        choose(page, second)
        expect(row(page, second.name)).to_contain_text("The service is busy. Next try in 10 s")
        own_service.start_worker()
        expect(card(page, first.name)).to_be_visible(timeout=40_000)
        page.clock.fast_forward("10")
        expect(card(page, second.name)).to_be_visible(timeout=20_000)
