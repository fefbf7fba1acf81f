"""The scripts for browsers that the seeds show, in a real one."""

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from fastapi.responses import HTMLResponse
from playwright.sync_api import ConsoleMessage, Page, sync_playwright

from tests.fastapi.serving import Site, served
from tests.seeds.reading import codes

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(120)]

# The browser shall neither call home nor need a sandbox that containers do not allow.
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


@pytest.fixture
def page() -> Iterator[Page]:
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        assert os.environ.get("CI") != "true", "CI must have chromium"
        pytest.skip("there is no chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser.new_page()
        browser.close()


def html(seed: str, job_id: str) -> HTMLResponse:
    """Return a page with the seed's script, for this job."""
    [script] = [text for code in codes(seed) if "EventSource(" in (text := "\n".join(code.lines))]
    script = script.replace("01H5K6X...", job_id)
    return HTMLResponse(f'<div id="progress"></div><script>{script}</script>')


def test_the_page_of_000_shows_the_progress_and_closes(site: Site, page: Page) -> None:
    job = site.work.delay()
    app = site.app(worker=True)
    app.add_api_route("/", lambda: html("000", job.id), response_class=HTMLResponse)
    with served(app) as address:
        page.goto(address)
        for percent in (25, 100):
            site.commands.put(percent)
            page.wait_for_function(f"progressBar.textContent === '{percent}%'")
            assert page.evaluate("progressBar.style.width") == f"{percent}%"
        assert page.evaluate("source.readyState === EventSource.OPEN")
        site.commands.put(None)
        page.wait_for_function("source.readyState === EventSource.CLOSED")


def test_the_page_of_001_shows_the_progress_and_does_not_come_back(site: Site, page: Page) -> None:
    job = site.work.delay()
    app = site.app(worker=True)
    app.add_api_route("/", lambda: html("001", job.id), response_class=HTMLResponse)
    with served(app) as address:
        page.goto(address)
        with page.expect_console_message(shows("Progress: 25%")):
            site.commands.put(25)
        with page.expect_console_message(shows("Progress: 100%")):
            site.commands.put(100)
        site.commands.put(None)
        # It waits for a status that never comes; the server tells the browser that all is said.
        page.wait_for_function("source.readyState === EventSource.CLOSED")


def shows(text: str) -> Callable[[ConsoleMessage], bool]:
    return lambda message: message.text == text
