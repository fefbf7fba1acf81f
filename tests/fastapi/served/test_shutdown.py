"""A real server with request tasks in flight is asked to stop."""

import contextlib
import os
import signal
from pathlib import Path

import pytest

from offload import Queue
from tests.fastapi.served.server import STOPPING, Line, serving, start


@pytest.mark.parametrize(
    ("mode", "number"),
    [
        ("now", signal.SIGINT),
        ("after_route", signal.SIGTERM),
        ("after_response", signal.SIGTERM),
    ],
)
def test_what_runs_is_drained_before_the_application_closes(
    tmp_path: Path, mode: str, number: signal.Signals
) -> None:
    with serving(tmp_path) as (server, client):
        start(client, mode, "writes")
        line = server.line()
        client.close()
        server.signal(number)
        server.hear(STOPPING)
        assert line.end() == "written", "the application's database is open"
        assert "Application shutdown complete" in server.ended()
        assert server.process.returncode in {0, -number}
        assert server.effects() == ["writes"]


def test_what_waits_for_a_slot_is_drained_as_well(tmp_path: Path) -> None:
    with serving(tmp_path, max_concurrency=1) as (server, client):
        for _ in range(3):
            start(client, "after_response", "writes")
        client.close()
        line = server.line()
        server.stop()
        assert line.end() == "written"
        assert server.line().end() == "written"
        assert server.line().end() == "written"
        server.ended()
        assert len(server.effects()) == 3


def test_a_request_in_flight_may_still_schedule(tmp_path: Path) -> None:
    with serving(tmp_path) as (server, _):
        held = server.in_flight()
        server.signal()
        server.hear("Waiting for ")
        held.tell("return")
        lines = [server.line(), server.line()]
        assert sorted(line.name for line in lines) == ["scheduled before", "scheduled last"]
        server.hear(STOPPING)
        assert [line.end() for line in lines] == ["written", "written"]
        server.ended()


def test_a_shielded_task_has_longer_than_others(tmp_path: Path) -> None:
    with serving(tmp_path, drain_timeout=0.2, shield_timeout=60) as (server, client):
        start(client, "after_response", "writes")
        plain = server.line()
        start(client, "after_response", "writes", shield=True)
        shielded = server.line()
        client.close()
        server.stop()
        assert (plain.hear(), plain.hear()) == ("cancelled", "")
        assert shielded.end() == "written"
        said = server.ended()
    assert said.count("is stopped by the shutdown") == 1
    assert "Application shutdown complete" in said


def test_a_shield_has_its_end_too(tmp_path: Path) -> None:
    with serving(tmp_path, drain_timeout=0.1, shield_timeout=0.2) as (server, client):
        start(client, "after_response", "writes", shield=True)
        line = server.line()
        client.close()
        server.stop()
        assert (line.hear(), line.hear()) == ("cancelled", "")
        assert "Application shutdown complete" in server.ended()


@pytest.mark.parametrize("work", ["swallows", "thread"])
def test_what_does_not_stop_is_named_and_left_behind(tmp_path: Path, work: str) -> None:
    with serving(tmp_path, drain_timeout=0.1, shield_timeout=0.2) as (server, client):
        task_id = start(client, "after_response", work)
        server.line()
        client.close()
        server.stop()
        said = server.ended()
    assert "shutdown goes on without 1 request tasks that do not stop" in said
    assert f"({task_id})" in said
    assert "Application shutdown complete" in said


def test_the_servers_own_limit_ends_requests_and_not_their_tasks(tmp_path: Path) -> None:
    with serving(tmp_path, "--timeout-graceful-shutdown", "1") as (server, _):
        held = server.in_flight()
        server.signal()
        server.hear("timeout graceful shutdown exceeded")
        assert held.hear() == "", "the endpoint was cancelled"
        line = server.line()
        assert line.name == "scheduled before", "it runs whatever happened: when='always'"
        server.hear(STOPPING)
        assert line.end() == "written"
        server.ended()
        assert server.effects() == ["scheduled before"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_cuts_nothing_short(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path) as (server, client):
        start(client, "after_response", "writes")
        line = server.line()
        client.close()
        server.stop()
        server.signal(number)
        server.signal(number)
        assert line.end() == "written"
        assert "Application shutdown complete" in server.ended()
        assert server.effects() == ["writes"]


def test_queue_tasks_without_time_become_jobs(tmp_path: Path) -> None:
    limits = {"max_concurrency": 1, "drain_timeout": 0.2, "shield_timeout": 0.3}
    with serving(tmp_path, **limits) as (server, client):
        for _ in range(3):
            start(client, "after_response", "durable", durable=False)
        line = server.line()
        client.close()
        server.stop()
        assert (line.hear(), line.hear()) == ("cancelled", "")
        assert "Application shutdown complete" in server.ended()
    with contextlib.closing(Queue(db_path=str(tmp_path / "jobs.db"))) as queue:
        jobs = queue.list_jobs()
        assert [(job.status, job.task_name) for job in jobs] == [
            ("pending", "tasks_app.durable")
        ] * 3


def test_without_a_lifespan_requests_last_until_their_tasks_have_ended(tmp_path: Path) -> None:
    with serving(tmp_path, "--lifespan", "off") as (server, client):
        start(client, "after_response", "durable", durable=False)
        line = server.line()
        assert client.get("/stats").json()["active"] == 1, "the connection is free meanwhile"
        client.close()
        server.signal()
        server.hear("Waiting for background tasks to complete.")
        line.tell("")
        assert line.hear() == "", "it ended by itself, and was not cancelled"
        assert "Finished server process" in server.ended()


def test_each_worker_drains_its_own(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as (server, client):
        for _ in range(2):
            server.hear("Application startup complete")
        lines: list[Line] = []
        while len({line.process for line in lines}) < 2:
            client.post("/start/after_response/writes", headers={"connection": "close"})
            lines.append(server.line())
            assert len(lines) < 500, "one process has them all"
        server.signal()
        for _ in range(2):
            server.hear(STOPPING)
        assert {line.end() for line in lines} == {"written"}
        server.ended()
        assert len(server.effects()) == len(lines)


def test_a_reload_drains_as_a_shutdown_does(tmp_path: Path) -> None:
    code = tmp_path / "code" / "watched.py"
    code.parent.mkdir()
    code.touch()
    watched = ["--reload", "--reload-dir", str(code.parent), "--reload-delay", "0.05"]
    with serving(tmp_path, *watched) as (server, client):
        server.hear("Application startup complete")
        start(client, "after_response", "writes")
        line = server.line()
        client.close()
        # It has been looked at by now: importing the application takes far longer than a look.
        os.utime(code, (0, code.stat().st_mtime + 60))
        server.hear("Reloading...")
        server.hear(STOPPING)
        assert line.end() == "written"
        server.hear("Application startup complete")
        server.signal(signal.SIGINT)
        server.ended()
        assert server.effects() == ["writes"]
