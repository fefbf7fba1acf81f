"""`offload doctor` finds what is wrong, and only that."""

import asyncio
import time
from pathlib import Path
from typing import Any

import apsw
import pytest

from offload.store.base import Beat
from offload.store.health import Level
from offload.store.sqlite import health
from offload.tasks.registry import Registry
from tests.cli.terminal import Terminal


def findings(terminal: Terminal) -> dict[str, dict[str, Any]]:
    shown = terminal("doctor", "--json")
    document = shown.document
    levels = {finding["level"] for finding in document["findings"]}
    assert document["ok"] == ("wrong" not in levels)
    assert shown.code == (1 if "wrong" in levels else 0)
    assert all((each["level"] == "ok") == (each["remedy"] is None) for each in document["findings"])
    return {finding["check"]: finding for finding in document["findings"]}


async def beaten(terminal: Terminal) -> None:
    await terminal.queue.aopen()
    await terminal.queue.store.heartbeat(Beat("w", lease=600.0))


@pytest.fixture
def healthy(terminal: Terminal) -> Terminal:
    """A queue with a worker that is alive and a job that waits."""
    terminal.app.add.delay(1, 2)
    asyncio.run(beaten(terminal))
    terminal.file.chmod(0o640)
    return terminal


def test_a_healthy_queue(healthy: Terminal) -> None:
    found = findings(healthy)
    assert list(found) == [
        "sqlite", "file system", "disk", "boot clock", "permissions", "fifos", "synchronous",
        "wal", "journal mode", "schema", "integrity", "clock", "workers", "paused", "tasks",
        "schedules", "dead letters",
    ]  # fmt: skip
    # The disk is that of whoever runs this.
    assert {finding["level"] for check, finding in found.items() if check != "disk"} == {"ok"}
    shown = healthy("doctor")
    assert all(len(line) <= 80 for line in shown.out.splitlines())
    assert "journal mode  ok" in shown.out


def test_a_queue_that_is_not_there_yet_is_not_made(terminal: Terminal) -> None:
    found = findings(terminal)
    assert found["file"]["level"] == "note"
    assert not terminal.file.parent.exists()


def test_no_worker_is_wrong_only_if_something_waits(terminal: Terminal) -> None:
    terminal.queue.pause("none")
    terminal.queue.resume("none")
    assert findings(terminal)["workers"]["level"] == "note"
    terminal.app.add.delay(1, 2)
    worker = findings(terminal)["workers"]
    assert (worker["level"], worker["found"]) == ("wrong", "none alive, 1 pending")
    shown = terminal("doctor")
    assert shown.code == 1
    assert "wrong: workers: none alive, 1 pending" in shown.lines
    assert "  start one: offload worker --app …" in shown.lines


def test_what_the_operator_may_have_forgotten(healthy: Terminal) -> None:
    healthy.app.add.apply_async((1, 2), queue="mails")
    healthy.queue.pause("mails")
    healthy.queue.add_periodic("market.add", every=60, name="often", args=[1, 2])
    found = findings(healthy)
    assert found["paused"]["found"] == "mails (1 pending)"
    assert found["schedules"]["found"] == "1 stored"


def test_a_task_that_nobody_knows(healthy: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(healthy.queue, "tasks", Registry())
    tasks = findings(healthy)["tasks"]
    assert (tasks["level"], tasks["found"]) == (
        "wrong",
        "jobs wait for what is unknown here: market.add",
    )


def test_a_clock_that_was_set_back(healthy: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 3700)
    clock = findings(healthy)["clock"]
    assert (clock["level"], clock["found"]) == ("wrong", "the newest job was enqueued 1 h from now")


def test_a_damaged_file(healthy: Terminal) -> None:
    healthy.queue.close()
    with healthy.file.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096 * 4)
    found = findings(healthy)
    broken = found.get("integrity") or found["file"]
    assert broken["level"] == "wrong"
    assert "backup" in broken["remedy"]


def test_a_file_that_is_no_database(terminal: Terminal) -> None:
    terminal.file.parent.mkdir()
    terminal.file.write_text("a letter to somebody " * 100)
    assert "is damaged or no SQLite database" in findings(terminal)["file"]["found"]


def test_a_file_of_a_newer_version(healthy: Terminal) -> None:
    healthy.queue.close()
    file = apsw.Connection(str(healthy.file))
    file.execute("PRAGMA user_version = 9999")
    file.close()
    found = findings(healthy)
    assert found["schema"]["level"] == "wrong"
    assert "upgrade offload" in found["store"]["found"]


def test_a_file_that_everybody_may_write(healthy: Terminal) -> None:
    healthy.file.chmod(0o666)
    assert findings(healthy)["permissions"]["remedy"] == f"chmod o-w {healthy.file}"
    healthy.file.chmod(0o644)
    assert findings(healthy)["permissions"]["level"] == "note"


# ---------------------------------------------------------------------------- judgements

LIBRARIES = [
    ("3.6.23", "wrong"), ("3.40.1", "wrong"), ("3.44.5", "wrong"), ("3.44.6", "ok"),
    ("3.50.6", "wrong"), ("3.50.7", "ok"), ("3.51.2", "wrong"), ("3.51.3", "ok"), ("3.54.1", "ok"),
    ("4.0.0", "ok"),
]  # fmt: skip


@pytest.mark.parametrize(("version", "level"), LIBRARIES)
def test_versions_of_sqlite(version: str, level: str) -> None:
    assert health.library(version).level == level


def test_what_a_disk_and_a_folder_can_be() -> None:
    gb = 1 << 30
    levels = [health.space(free).level for free in (gb // 20, gb // 2, 2 * gb)]
    assert levels == [Level.WRONG, Level.NOTE, Level.OK]
    assert health.file_system("nfs4").level is Level.WRONG
    assert health.file_system("ext4").level is Level.OK
    assert health.wal_size(gb).level is Level.WRONG
    assert health.wal_size(gb // 16).level is Level.OK


def test_a_queue_that_gives_up_durability_is_told(tmp_path: Path) -> None:
    found = {finding.check: finding for finding in health.examined(tmp_path / "x.db", "NORMAL")}
    assert found["synchronous"].level is Level.NOTE


def test_a_queue_on_a_server(terminal: Terminal, postgres_url: str) -> None:
    program = f"from offload import Queue\nqueue = Queue({postgres_url!r})\n"
    (terminal.folder / "served.py").write_text(program)
    terminal.monkeypatch.setenv("OFFLOAD_APP", "served:queue")
    found = findings(terminal)
    assert found["server"]["level"] == "note"  # there is nothing to look into yet
    assert "workers" not in found
    assert terminal("queues").code == 0
    found = findings(terminal)
    assert found["schema"]["level"] == "ok"
    assert found["workers"]["level"] == "note"
