"""The page of a service that asks for keys."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from services.imaging.tests import pictures
from services.imaging.tests.browsing import LOADED, card, choose, opened
from services.imaging.tests.running import Running

pytestmark = pytest.mark.timeout(120)

KEYS = "alice:open-sesame,bob:let-me-in"


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("private")) as running:
        running.start(IMAGING_API_KEYS=KEYS)
        yield running


@pytest.fixture
def page(browser: Browser, private: Running) -> Iterator[Page]:
    with opened(browser, private.url) as page:
        yield page


def sign_in(page: Page, key: str) -> None:
    page.get_by_label("API key", exact=True).fill(key)
    page.get_by_role("button", name="Sign in").click()


def test_a_key_opens_the_page_and_signing_out_closes_it(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "mine.jpg"
    path.write_bytes(pictures.photograph())
    expect(page.get_by_label("API key", exact=True)).to_be_focused()
    expect(page.locator("#work")).to_be_hidden()
    sign_in(page, "open-sesame")
    expect(page.locator("#owner")).to_have_text("alice")
    choose(page, path)
    # Links to its pictures are signed, and load.
    expect(card(page, "mine.jpg")).to_be_visible(timeout=20_000)
    page.wait_for_function(LOADED, arg=card(page, "mine.jpg").locator("img").element_handle())
    page.get_by_role("button", name="Open mine.jpg").click()
    page.wait_for_function(LOADED, arg=page.locator("#stage-image").element_handle())
    with page.expect_download() as download:
        page.get_by_role("link", name="Download original").click()
    assert download.value.path().read_bytes() == pictures.photograph()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key", exact=True)).to_be_visible()
    expect(page.locator("#work")).to_be_hidden()


def test_a_wrong_key_is_told_so(page: Page) -> None:
    sign_in(page, "guess")
    expect(page.get_by_role("alert")).to_have_text("The service does not know this key.")
    expect(page.locator("#work")).to_be_hidden()


def test_owners_do_not_see_each_other(page: Page, private: Running) -> None:
    bearer = {"Authorization": "Bearer open-sesame"}
    answer = private.client.post(
        "/upload", files={"file": ("hers.jpg", pictures.photograph())}, headers=bearer
    )
    assert answer.status_code == 202
    sign_in(page, "let-me-in")
    expect(page.locator("#owner")).to_have_text("bob")
    expect(page.locator("#empty")).to_be_visible()
    expect(page.locator(".card")).to_have_count(0)


def test_a_session_that_ends_meanwhile_asks_again(page: Page) -> None:
    sign_in(page, "let-me-in")
    expect(page.locator("#owner")).to_have_text("bob")
    expect(page.locator("#empty")).to_be_visible()
    page.context.clear_cookies()
    page.get_by_role("radio", name="Failed").check(force=True)
    expect(page.get_by_role("alert")).to_have_text("Your session has ended. Please sign in again.")
