"""Lost connections: said, and taken up again where they were."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from services.imaging.tests import pictures
from services.imaging.tests.browsing import card, choose, opened, row
from services.imaging.tests.running import Running
from tests.servers.proxy import Proxy

pytestmark = pytest.mark.timeout(120)

# Only who has been told something can name what that was.
HEAR = """() => {
  window.EventSource = class extends EventSource {
    constructor(url) { super(url); this.addEventListener("message", () => { window.heard = 1; }); }
  };
}"""
LOST = "The connection is lost. Reconnecting…"


class Cable:
    """A proxy before the service, in a thread: the browser's own loop blocks this one."""

    def __init__(self, port: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._proxy = Proxy("127.0.0.1", port)
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        start = asyncio.run_coroutine_threadsafe(self._proxy.start(), self._loop)
        self.url = f"http://127.0.0.1:{start.result()}"

    def cut(self) -> None:
        """End all connections at once, without a word."""
        self._loop.call_soon_threadsafe(self._proxy.reset)

    def close(self) -> None:
        """Stop the proxy and its thread."""
        asyncio.run_coroutine_threadsafe(self._proxy.stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def cable(port: int) -> Iterator[Cable]:
    one = Cable(port)
    try:
        yield one
    finally:
        one.close()


def waiting(page: Page, folder: Path) -> None:
    path = folder / "patient.jpg"
    path.write_bytes(pictures.photograph())
    page.evaluate(HEAR)
    choose(page, path)
    page.wait_for_function("() => window.heard")
    expect(row(page, "patient.jpg")).to_contain_text("Waiting for its turn")


def test_a_stream_that_was_cut_is_resumed(
    browser: Browser, own_service: Running, tmp_path: Path
) -> None:
    own_service.start(IMAGING_WORKER="False")
    with cable(own_service.port) as line, opened(browser, line.url) as page:
        waiting(page, tmp_path)
        # The browser comes again by itself, after three seconds, and names what it has seen.
        with page.expect_request("**/events") as again:
            line.cut()
            expect(page.locator("#link-state")).to_have_text(LOST)
            expect(row(page, "patient.jpg")).to_contain_text("Reconnecting…")
        assert "last-event-id" in again.value.all_headers()
        expect(page.locator("#link-state")).to_have_text("Connected again.", timeout=20_000)
        expect(row(page, "patient.jpg")).to_contain_text("Waiting for its turn")
        own_service.start_worker()
        expect(card(page, "patient.jpg")).to_be_visible(timeout=30_000)


def test_a_service_that_is_started_again_is_found_again(
    browser: Browser, own_service: Running, tmp_path: Path
) -> None:
    process = own_service.start(IMAGING_WORKER="False")
    with opened(browser, own_service.url) as page:
        waiting(page, tmp_path)
        process.kill()
        expect(page.locator("#link-state")).to_have_text(LOST)
        own_service.start()
        expect(card(page, "patient.jpg")).to_be_visible(timeout=40_000)
        expect(page.locator("#link-state")).not_to_have_text(LOST)
