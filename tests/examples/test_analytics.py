from collections.abc import Iterator
from typing import Any

import pytest

from tests.examples.conftest import Example, Site


def track(site: Site, first: int, last: int) -> None:
    for number in range(first, last + 1):
        event = {"event": "click", "user_id": number, "properties": {"page": "/"}}
        assert site.client.post("/track", json=event).status_code == 202


def users(calls: list[dict[str, Any]]) -> list[list[int]]:
    return [[event["user_id"] for event in call["events"]] for call in calls]


@pytest.fixture
def site(example: Example) -> Iterator[Site]:
    """Serve the example, whose clock-driven flush is the test's to trigger."""
    with example("analytics") as site:
        site.module.background.pause("flush")
        yield site


def test_a_full_batch_goes_at_once(site: Site) -> None:
    track(site, 1, 21)
    assert sorted(users(site.told("analytics", 2))) == [[*range(1, 11)], [*range(11, 21)]]
    assert users([{"events": site.module.buffer}]) == [[21]]


def test_the_rest_goes_by_the_clock(site: Site) -> None:
    track(site, 1, 3)
    assert site.told("analytics", 0) == []
    site.module.background.trigger("flush")
    [call] = site.told("analytics", 1)
    assert users([call]) == [[1, 2, 3]]
    assert call["events"][0]["at"].endswith("+00:00")


def test_the_rest_goes_at_the_end(example: Example) -> None:
    with example("analytics") as site:
        track(site, 1, 3)
    assert site.module.load() == (0, [])
    assert site.module.buffer == []


def test_a_batch_that_is_refused_is_kept_and_sent_later(site: Site) -> None:
    site.refuse("analytics", times=2)
    track(site, 1, 10)
    site.settle()
    assert site.told("analytics", 0) == []
    assert len(site.module.load()[1]) == 10
    site.module.background.trigger("flush")
    assert users(site.told("analytics", 1)) == [[*range(1, 11)]]
    site.settle()
    assert site.module.load() == (0, [])


def test_what_can_neither_be_sent_nor_kept_is_reported(site: Site) -> None:
    with site.module.database.transaction() as db:
        db.execute("DROP TABLE kept")
    site.refuse("analytics", times=2)
    track(site, 1, 10)
    assert site.told("chat", 1)[0]["text"] == "10 events are lost: OperationalError"
