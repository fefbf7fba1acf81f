"""What only operators are given: records of jobs, replays, dead letters, schedules, queues."""

from typing import Any

import httpx
import pytest

from offload import JobHandle, chain, current_job
from tests.fastapi.serving import Site

DAY_MS = 86_400_000


@pytest.fixture
def talk(site: Site) -> Any:
    @site.queue.task(name="talk", max_retries=0)
    def talk(count: int, error: str = "") -> int:
        for number in range(count):
            current_job.publish({number})
            current_job.log(f"line {number}", level="error" if number else "info", number=number)
        if error:
            raise ValueError(error)
        return count

    return talk


def ended(client: httpx.Client, job: JobHandle[Any]) -> str:
    """Wait for a job's end and return how it ended."""
    return str(client.get(f"/jobs/{job.id}/result?timeout=20").json()["status"])


# ------------------------------------------------------------------------------- records


def test_logs(site: Site, talk: Any) -> None:
    with site.client(worker=True, operator=True) as client:
        job = talk.delay(3)
        assert ended(client, job) == "complete"
        first, second, third = client.get(f"/jobs/{job.id}/logs").json()
        assert set(first) == {"id", "attempt", "level", "message", "extra", "logged_at"}
        assert (first["attempt"], first["level"], first["message"]) == (1, "info", "line 0")
        assert (second["message"], second["extra"]) == ("line 1", {"number": 1})
        assert client.get(f"/jobs/{job.id}/logs?level=error&limit=1").json() == [third]


def test_parts_are_paged_by_the_last_id(site: Site, talk: Any) -> None:
    with site.client(worker=True, operator=True) as client:
        job = talk.delay(3)
        assert ended(client, job) == "complete"
        parts = client.get(f"/jobs/{job.id}/parts").json()
        assert set(parts[0]) == {"id", "attempt", "value", "published_at"}
        assert [part["value"] for part in parts] == [[0], [1], [2]]
        page = client.get(f"/jobs/{job.id}/parts?after={parts[0]['id']}&limit=1").json()
        assert page == [parts[1]]
        assert client.get(f"/jobs/{job.id}/parts?after={parts[2]['id']}").json() == []


def test_family(site: Site, talk: Any) -> None:
    with site.client(operator=True) as client:
        second = chain(talk.si(0), talk.si(1)).delay()
        first = second.parent
        shown = client.get(f"/jobs/{first.id}/family").json()
        assert shown == {"parents": [], "dependents": [second.id]}
        shown = client.get(f"/jobs/{second.id}/family").json()
        assert shown == {"parents": [first.id], "dependents": []}


def test_metrics_by_task(site: Site, talk: Any) -> None:
    with site.client(worker=True, operator=True) as client:
        assert client.get("/metrics").json() == {}
        good, bad = talk.delay(0), talk.delay(0, "boom")
        assert (ended(client, good), ended(client, bad)) == ("complete", "dead")
        [(name, shown)] = client.get("/metrics").json().items()
        assert name == "talk"
        assert set(shown) == {"count", "failures", "wait", "ran", "memory"}
        assert (shown["count"], shown["failures"]) == (2, 1)
        assert set(shown["ran"]) == {"mean", "p50", "p95"}
        assert client.get("/metrics?task=other").json() == {}
        assert client.get(f"/metrics?since={good.created_at + DAY_MS}").json() == {}


# ------------------------------------------------------------------ replays, dead letters


def test_a_job_that_has_ended_is_replayed(site: Site, talk: Any) -> None:
    with site.client(worker=True, operator=True) as client:
        job = talk.delay(2)
        assert ended(client, job) == "complete"
        answer = client.post(f"/jobs/{job.id}/replay")
        assert (answer.status_code, list(answer.json())) == (200, ["new_job_id"])
        fresh = site.queue.get_job(answer.json()["new_job_id"])
        assert fresh is not None
        assert fresh.origin == job.id
        assert ended(client, fresh) == "complete"


def test_a_job_that_waits_cannot_be_replayed(site: Site) -> None:
    with site.client(operator=True) as client:
        answer = client.post(f"/jobs/{site.work.delay().id}/replay")
    assert answer.status_code == 409
    assert "is pending: wait for its end" in answer.json()["detail"]


def test_many_dead_letters_are_retried_at_once(site: Site, talk: Any) -> None:
    with site.client(worker=True, operator=True) as client:
        for job in talk.map([(0, "boom")] * 3):
            assert ended(client, job) == "dead"
        newest, *rest = [letter["id"] for letter in client.get("/dead-letters").json()]
        answer = client.post("/dead-letters/retry", json={"ids": [newest, "nope"]})
        assert list(answer.json()["new_job_ids"]) == [newest]
        answer = client.post("/dead-letters/retry", json={"all": True})
        fresh = answer.json()["new_job_ids"]
        assert set(fresh) >= set(rest)
        for job_id in fresh.values():
            assert client.get(f"/jobs/{job_id}").status_code == 200


def test_dead_letters_are_purged_by_age(site: Site, talk: Any) -> None:
    with site.client(worker=True, operator=True) as client:
        assert ended(client, talk.delay(0, "boom")) == "dead"
        assert client.post("/dead-letters/purge").json() == {"purged": 0}
        assert client.post("/dead-letters/purge?older_than=0").json() == {"purged": 1}
        assert client.get("/dead-letters").json() == []


# ----------------------------------------------------------------------- schedules, queues


def test_schedules(site: Site, talk: Any) -> None:
    with site.client(operator=True) as client:
        assert client.get("/schedules").json() == []
        site.queue.add_periodic(talk, every=3600, name="up/hourly", args=[1])
        [shown] = client.get("/schedules").json()
        assert (shown["name"], shown["task_name"], shown["trigger"]) == (
            "up/hourly",
            "talk",
            "every:3600",
        )
        assert shown["next_run"] % 3_600_000 == 0
        assert (shown["paused"], shown["last_run"], shown["last_job_id"]) == (False, None, None)
        paused = client.post("/schedules/up/hourly/pause").json()
        assert (paused["paused"], paused["next_run"]) == (True, None)
        job = client.post("/schedules/up/hourly/trigger").json()["new_job_id"]
        assert client.get("/jobs?schedule=up/hourly").json()[0]["id"] == job
        resumed = client.post("/schedules/up/hourly/resume").json()
        assert resumed == shown


def test_a_schedule_whose_task_is_not_here_cannot_be_triggered(site: Site, talk: Any) -> None:
    site.queue.add_periodic(talk, every=3600, name="hourly", args=[1])
    other = Site(type(site.queue)(site.queue.url))
    with other.client(operator=True) as client:
        answer = client.post("/schedules/hourly/trigger")
    assert answer.status_code == 409
    assert "import the module that defines it" in answer.json()["detail"]


def test_queues(site: Site) -> None:
    with site.client(operator=True) as client:
        assert client.get("/queues").json() == []
        site.work.apply_async(queue="mails")
        answer = {"name": "mails", "paused": True, "changed": True}
        assert client.post("/queues/mails/pause").json() == answer
        assert client.post("/queues/mails/pause").json() == answer | {"changed": False}
        shown = [{"name": "mails", "paused": True, "pending": 1, "running": 0}]
        assert client.get("/queues").json() == shown
        answer = {"name": "mails", "paused": False, "changed": True}
        assert client.post("/queues/mails/resume").json() == answer


# -------------------------------------------------------------------------------- errors

UNKNOWN = [
    ("GET", "/jobs/nope/logs", "Job not found"),
    ("GET", "/jobs/nope/parts", "Job not found"),
    ("GET", "/jobs/nope/family", "Job not found"),
    ("POST", "/jobs/nope/replay", "Job not found"),
    ("POST", "/schedules/nope/trigger", "Schedule not found"),
    ("POST", "/schedules/nope/pause", "Schedule not found"),
    ("POST", "/schedules/nope/resume", "Schedule not found"),
]
BAD: list[tuple[str, str, Any]] = [
    ("GET", "/jobs?created_after=yesterday", None),
    ("GET", "/jobs?created_before=-1", None),
    ("GET", f"/jobs?created_after={10**30}", None),
    ("GET", "/metrics?since=x", None),
    ("GET", "/jobs/nope/logs?limit=0", None),
    ("GET", "/jobs/nope/parts?after=-1", None),
    ("POST", "/dead-letters/purge?older_than=-1", None),
    ("POST", "/dead-letters/purge?older_than=nan", None),
    ("POST", "/dead-letters/retry", None),
    ("POST", "/dead-letters/retry", {}),
    ("POST", "/dead-letters/retry", {"ids": []}),
    ("POST", "/dead-letters/retry", {"ids": ["x"], "all": True}),
    ("POST", "/dead-letters/retry", {"ids": ["x"] * 1001}),
]


def test_what_is_unknown_is_not_found(site: Site) -> None:
    with site.client(operator=True) as client:
        for method, path, detail in UNKNOWN:
            answer = client.request(method, path)
            assert (path, answer.status_code, answer.json()) == (path, 404, {"detail": detail})


def test_what_makes_no_sense_is_refused(site: Site) -> None:
    with site.client(operator=True) as client:
        for method, path, body in BAD:
            answer = client.request(method, path, json=body)
            assert (path, body, answer.status_code) == (path, body, 422)


# ----------------------------------------------------------------------------- other sites


def test_a_page_of_another_site_can_change_nothing(site: Site) -> None:
    job = site.work.delay()
    with site.client(operator=True) as client:
        other = {"Sec-Fetch-Site": "cross-site"}
        for path in (f"/jobs/{job.id}/cancel", "/dead-letters/nope/retry", "/queues/a/pause"):
            refused = client.post(path, headers=other)
            assert refused.status_code == 403
            assert refused.json() == {"detail": "Refused: sent by a page of another site"}
        assert client.get("/queues").json()[0]["paused"] is False
        assert client.get(f"/jobs/{job.id}", headers=other).json()["status"] == "pending"


@pytest.mark.parametrize("origin", ["same-origin", "same-site", "none", None])
def test_pages_of_the_site_and_programs_can(site: Site, origin: str | None) -> None:
    job = site.work.delay()
    headers = {} if origin is None else {"Sec-Fetch-Site": origin}
    with site.client() as client:
        answer = client.post(f"/jobs/{job.id}/cancel", headers=headers)
    assert answer.json() == {"cancelled": True}


def test_other_sites_may_be_let_in(site: Site) -> None:
    job = site.work.delay()
    with site.client(cross_site=True) as client:
        answer = client.post(f"/jobs/{job.id}/cancel", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.json() == {"cancelled": True}
