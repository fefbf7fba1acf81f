"""`offload move`, as it is typed."""

import json

from tests.cli.terminal import Terminal
from tests.servers.ports import free_port


def test_a_store_moves_into_a_new_file(terminal: Terminal) -> None:
    done = terminal.app.add.delay(1, 2)
    failed = terminal.app.fail.delay()
    terminal.ended(done, failed)
    pending = terminal.app.add.delay(3, 4)
    there = terminal("move", "--from", "data/jobs.db", "--to", "new/jobs.db")
    assert there.code == 0
    assert there.lines == ["moved 3 jobs, 1 dead letters and 1 schedules; nothing is left"]
    assert sum(terminal.queue.stats().values()) == 0
    terminal.queue.close()
    terminal.file.rename(terminal.folder / "old.db")
    (terminal.folder / "new" / "jobs.db").rename(terminal.file)
    assert [letter.id for letter in terminal.queue.dead_letters()] == [failed.id]
    found = [terminal.queue.get_job(job.id) for job in (done, pending)]
    assert [job and job.status for job in found] == ["complete", "pending"]
    assert found[0] is not None
    assert found[0].result() == 3


def test_a_dry_run_tells_and_changes_nothing(terminal: Terminal) -> None:
    terminal.app.add.map([(1, 2)] * 3)
    terminal.queue.close()
    before = terminal.file.read_bytes()
    told = terminal("move", "--from", "data/jobs.db", "--to", "new.db", "--dry-run")
    assert told.code == 0
    assert "nothing was changed" in told.out
    assert terminal.file.read_bytes() == before
    assert not (terminal.folder / "new.db").exists()


def test_a_program_reads_one_document(terminal: Terminal) -> None:
    terminal.app.add.map([(1, 2)] * 3)
    words = ("move", "--from", "data/jobs.db", "--to", "new.db", "--json")
    told = {"jobs": 3, "letters": 0, "schedules": 0, "waiting": 3, "running": 0}
    assert terminal(*words, "--dry-run").document == {"dry_run": True, **told}
    moved = terminal(*words)
    assert json.loads(moved.out) == {"dry_run": False, **told, "waiting": 0}


def test_what_cannot_be_moved_is_one_line(terminal: Terminal) -> None:
    terminal.app.add.delay(1, 2)
    away = f"redis://127.0.0.1:{free_port()}/0"
    for target, reason in (("memory://", "nothing can be moved"), (away, "cannot be moved to")):
        done = terminal("move", "--from", "data/jobs.db", "--to", target)
        assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1)
        assert reason in done.err
    missing = terminal("move", "--from", "jbos.db", "--to", "new.db")
    assert (missing.code, missing.err) == (1, "offload: jbos.db is not there\n")
    assert [path.name for path in terminal.folder.glob("*.db*")] == []
    same = terminal("move", "--from", "a.db", "--to", "a.db")
    assert same.code == 2
    assert "the same store" in same.err
