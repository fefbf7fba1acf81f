"""What the commands change."""

import asyncio

import pytest

from offload.store.base import Beat
from tests.cli.terminal import Terminal

# ---------------------------------------------------------------------------------- jobs


def test_a_pending_job_is_cancelled_once(terminal: Terminal) -> None:
    job = terminal.app.add.delay(1, 2)
    done = terminal("jobs", "cancel", job.id)
    assert (done.code, done.lines) == (0, [f"{job.id} is cancelled"])
    again = terminal("jobs", "cancel", job.id)
    assert (again.code, again.out) == (1, "")
    assert again.err == f"offload: job {job.id} is cancelled\n"
    assert job.refresh().status == "cancelled"


def test_a_running_job_is_left_alone_unless_asked(terminal: Terminal) -> None:
    job = terminal.app.add.delay(1, 2)
    asyncio.run(claimed(terminal))
    refused = terminal("jobs", "cancel", job.id)
    assert refused.code == 1
    assert f"job {job.id} is running: --running asks it to stop" in refused.err
    asked = terminal("jobs", "cancel", job.id, "--running")
    assert (asked.code, asked.lines) == (0, [f"{job.id} is asked to stop"])
    assert job.refresh().job.cancel_requested


async def claimed(terminal: Terminal) -> None:
    """Let a worker that is not there run what there is."""
    store = terminal.queue.store
    await terminal.queue.aopen()
    await store.heartbeat(Beat("w", lease=600.0))
    await store.claim("w", None, 10)


def test_cancelling_for_programs(terminal: Terminal) -> None:
    job = terminal.app.add.delay(1, 2)
    done = terminal("jobs", "cancel", job.id, "--json")
    assert done.document == {"id": job.id, "cancelled": True, "status": "cancelled"}
    again = terminal("jobs", "cancel", job.id, "--json")
    assert again.code == 1
    assert '"cancelled": false' in again.out


def test_a_job_that_has_ended_is_replayed(terminal: Terminal) -> None:
    job = terminal.app.add.delay(1, 2)
    early = terminal("jobs", "replay", job.id)
    assert early.code == 1
    assert "is pending: wait for its end" in early.err
    job.cancel()
    fresh = terminal("jobs", "replay", job.id, "--json").document
    handle = terminal.queue.get_job(fresh["new_job_id"])
    assert handle is not None
    assert (fresh["id"], handle.origin) == (job.id, job.id)
    assert terminal("jobs", "replay", job.id).lines[0].startswith("enqueued ")


# --------------------------------------------------------------------------- dead letters


def test_named_letters_are_retried(terminal: Terminal) -> None:
    newest, oldest = terminal.dead(2)
    done = terminal("dead", "retry", newest, "nope")
    assert done.code == 1
    assert newest in done.out
    assert done.err == "offload: no dead letter nope: unknown, retried or purged\n"
    assert [letter.id for letter in terminal.queue.dead_letters()] == [oldest]


def test_all_letters_are_retried(terminal: Terminal) -> None:
    letters = terminal.dead(2)
    done = terminal("dead", "retry", "--all", "--json").document
    assert set(done["new_job_ids"]) == set(letters)
    assert done["not_found"] == []
    assert terminal.queue.stats()["pending"] == 2
    assert terminal("dead", "retry", "--all").lines == ["no dead letters"]


@pytest.mark.parametrize("words", [("dead", "purge"), ("purge", "--dead")])
def test_letters_are_purged_by_age_after_a_question(
    terminal: Terminal, words: tuple[str, ...]
) -> None:
    terminal.dead()
    spared = terminal(*words, answer="y\n")
    assert (spared.code, spared.lines) == (0, ["removed 0 dead letters"])
    assert "Remove dead letters older than 1 d from data/jobs.db? [y/N]" in spared.err
    refused = terminal(*words, "--older-than", "0s", answer="n\n")
    assert refused.code == 1
    assert len(terminal.queue.dead_letters()) == 1
    silent = terminal(*words, "--older-than", "0s")
    assert silent.code == 1
    assert silent.err.endswith("\noffload: nothing was done: answer y, or say --yes\n")
    assert terminal(*words, "--older-than", "0s", "--yes").lines == ["removed 1 dead letters"]
    assert terminal.queue.dead_letters() == []


def test_ended_jobs_are_purged(terminal: Terminal) -> None:
    terminal.app.add.delay(1, 2).cancel()
    waiting = terminal.app.add.delay(1, 2)
    assert terminal("purge", "--completed", "-y").lines == ["removed 0 ended jobs"]
    words = ("purge", "--completed", "--dead", "--older-than", "0s", "--yes", "--json")
    assert terminal(*words).document == {"completed": 1, "dead": 0}
    assert [job.id for job in terminal.queue.list_jobs()] == [waiting.id]


# ----------------------------------------------------------------------- queues, schedules


def test_queues_are_paused_and_resumed(terminal: Terminal) -> None:
    assert terminal("queues", "pause", "mails").lines == ["mails is paused"]
    assert terminal("queues", "pause", "mails").lines == ["mails was paused already"]
    assert terminal.queue.paused_queues() == ["mails"]
    document = terminal("queues", "resume", "mails", "--json").document
    assert document == {"name": "mails", "paused": False, "changed": True}
    assert terminal("queues", "resume", "mails").lines == ["mails was not paused"]
    document = terminal("queues", "pause", "mails", "--json").document
    assert document == {"name": "mails", "paused": True, "changed": True}


def test_schedules_are_steered(terminal: Terminal) -> None:
    name = "market.report"
    job_id = terminal("schedules", "trigger", name, "--json").document["new_job_id"]
    job = terminal.queue.get_job(job_id)
    assert job is not None
    assert job.schedule == name
    assert terminal("schedules", "trigger", name).lines[0].startswith("enqueued ")
    assert terminal("schedules", "pause", name).lines == [f"{name} is paused"]
    assert terminal("schedules", "resume", name).lines[0].startswith(f"{name} is due in ")
    assert terminal("schedules", "pause", name, "--json").document["paused"] is True
    assert terminal("schedules", "delete", name).lines == [f"{name} is deleted"]
    assert terminal.queue.list_periodic() == []
    terminal.queue.add_periodic("market.add", every=60, name="often", args=[1, 2])
    document = terminal("schedules", "delete", "often", "--json").document
    assert document == {"name": "often", "deleted": True}


# ----------------------------------------------------------------------- wrong arguments

WRONG = [
    (("jobs", "--status", "done"), "done"),
    (("jobs", "--limit", "0"), "--limit"),
    (("jobs", "shw"), "shw"),
    (("jobs", "show"), "ID"),
    (("dead", "retry"), "name the letters, or say --all"),
    (("dead", "retry", "x", "--all"), "name the letters, or say --all"),
    (("dead", "purge", "--older-than", "24"), "90s, 10m, 24h or 7d"),
    (("dead", "purge", "--older-than", "-1h"), "90s, 10m, 24h or 7d"),
    (("purge", "--completed", "--older-than", "1.5h"), "90s, 10m, 24h or 7d"),
    (("purge", "--completed", "--older-than", "2w"), "90s, 10m, 24h or 7d"),
    (("purge",), "say what: --completed, --dead, or both"),
    (("queues", "pause"), "NAME"),
    (("schedules", "trigger"), "NAME"),
]


@pytest.mark.parametrize(("words", "message"), WRONG, ids=[" ".join(words) for words, _ in WRONG])
def test_wrong_arguments_are_named(
    terminal: Terminal, words: tuple[str, ...], message: str
) -> None:
    done = terminal(*words)
    assert (done.code, done.out) == (2, "")
    said = " ".join(done.err.replace("│", " ").split())
    assert message in said
    assert not terminal.file.exists()


UNKNOWN = [
    (("jobs", "show", "nope"), "no job nope: unknown, or purged"),
    (("jobs", "cancel", "nope"), "no job nope: unknown, or purged"),
    (("jobs", "replay", "nope"), "no job nope: unknown, or purged"),
    (("dead", "retry", "nope"), "no dead letter nope"),
    (("schedules", "pause", "nope"), "no schedule is named 'nope'"),
    (("schedules", "resume", "nope"), "no schedule is named 'nope'"),
    (("schedules", "trigger", "nope"), "no schedule is named 'nope'"),
    (("schedules", "delete", "nope"), "no schedule is named 'nope'"),
]


@pytest.mark.parametrize(("words", "message"), UNKNOWN, ids=[" ".join(w) for w, _ in UNKNOWN])
def test_what_is_unknown_is_one_readable_line(
    terminal: Terminal, words: tuple[str, ...], message: str
) -> None:
    done = terminal(*words)
    assert done.code == 1
    [line] = done.err.splitlines()
    assert line.startswith("offload: ")
    assert message in line


# ----------------------------------------------------------------------------- where it is


def test_the_application_may_stand_before_the_command(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OFFLOAD_APP")
    for group, command in (("queues", "pause"), ("queues", "resume")):
        words = (group, "--app", "market:queue", "--json", command, "mails")
        assert terminal(*words).document["changed"] is True
    for typed in ("jobs", "dead retry --all", "queues", "info", "doctor"):
        done = terminal(*typed.split())
        assert done.code == 2
        assert "--app" in done.err
