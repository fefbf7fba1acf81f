import threading

import pytest

from tests.examples.conftest import Example


def test_schedules_run_by_hand(example: Example) -> None:
    with example("periodic") as site:
        assert site.client.post("/admin/trigger/daily_report").status_code == 401
        site.client.headers["Authorization"] = f"Bearer {site.module.TOKEN}"
        answer = site.client.post("/admin/trigger/cleanup_sessions")
        assert answer.status_code == 202
        assert answer.json()["message"] == "Job cleanup_sessions triggered"
        site.settle()
        assert site.module.count_sessions() == 1
        site.refuse("email", times=1)
        before = site.client.get("/admin/schedules").json()
        assert site.client.post("/admin/trigger/daily_report").status_code == 202
        assert site.told("email", 1)[0]["sessions"] == 1
        assert site.client.get("/admin/schedules").json() == before
        assert site.client.post("/admin/trigger/nothing").status_code == 404


def test_a_run_that_goes_on_is_not_doubled(
    example: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    with example("periodic") as site:
        go = threading.Event()
        monkeypatch.setattr(site.module, "count_sessions", lambda: go.wait(20) and 5)
        site.client.headers["Authorization"] = f"Bearer {site.module.TOKEN}"
        codes = [site.client.post("/admin/trigger/daily_report").status_code for _ in range(2)]
        go.set()
        assert codes == [202, 409]
        assert [mail["sessions"] for mail in site.told("email", 1)] == [5]


def test_schedules_are_at_midnight_and_at_nine(example: Example) -> None:
    with example("periodic") as site:
        cleanup, report = site.module.background.schedules()
        assert (cleanup.next_run.hour, cleanup.next_run.minute) == (0, 0)
        assert (report.next_run.hour, report.next_run.minute) == (9, 0)
        assert str(report.next_run.tzinfo) == "Europe/Berlin"
        assert (report.scope, cleanup.scope) == ("cluster", "process")
