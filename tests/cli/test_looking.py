"""What the commands show, to people and to programs."""

import time

import pytest

from offload import chain
from offload.cli.output import ago, plain, span
from tests.cli.terminal import Terminal

WIDTH = 80
HOUR_MS = 3_600_000


def test_info(terminal: Terminal) -> None:
    terminal.app.add.map([(1, 2)] * 1234)
    terminal.app.add.apply_async((1, 2), queue="mails")
    shown = terminal("info")
    assert (shown.code, shown.err) == (0, "")
    assert shown.lines[0] == "data/jobs.db"
    assert "pending    1,235" in shown.lines
    assert "none; start one: offload worker --app …" in shown.lines
    document = terminal("info", "--json").document
    assert list(document) == ["store", "jobs", "queues", "workers"]
    assert document["jobs"]["pending"] == 1235
    assert [row["name"] for row in document["queues"]] == ["default", "mails"]
    assert document["workers"] == []


EMPTY = [
    (("info",), "none; start one"),
    (("jobs",), "no such job"),
    (("dead",), "no dead letters"),
    (("queues",), "no queue has jobs"),
    (("schedules",), "no schedule is stored"),
]


@pytest.mark.parametrize(("words", "said"), EMPTY)
def test_an_empty_queue_says_so(terminal: Terminal, words: tuple[str, ...], said: str) -> None:
    shown = terminal(*words)
    assert (shown.code, shown.err) == (0, "")
    assert said in shown.out
    document = terminal(*words, "--json").document
    lists = [value for value in document.values() if isinstance(value, list)]
    assert lists
    assert not any(lists)


# ---------------------------------------------------------------------------------- jobs


def test_jobs_are_aligned_and_their_ids_whole_in_80_columns(terminal: Terminal) -> None:
    app = terminal.app
    first = app.add.apply_async((1, 2), queue="mails")
    long = app.a_task_with_a_name_that_is_much_too_long_for_a_narrow_terminal.delay()
    long.cancel()
    shown = terminal("jobs")
    assert (shown.code, shown.err) == (0, "")
    head, newest, oldest = shown.lines
    assert all(len(line) <= WIDTH for line in shown.out.splitlines())
    assert newest.startswith(f"{long.id}  cancelled  …")
    assert "ow_terminal  default" in newest
    assert oldest.startswith(f"{first.id}  pending    market.add")
    for title, value in (("status", "pending"), ("queue", "mails")):
        assert head.index(title) == oldest.index(value)


def test_who_reads_from_a_pipe_gets_whole_lines(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = terminal.app.a_task_with_a_name_that_is_much_too_long_for_a_narrow_terminal.name
    terminal.queue.enqueue(name)
    monkeypatch.delenv("COLUMNS")
    assert name in terminal("jobs").out


def test_jobs_are_filtered(terminal: Terminal) -> None:
    app = terminal.app
    mails = app.add.apply_async((1, 2), queue="mails", tags=["red"])
    gone = app.add.delay(3, 4)
    gone.cancel()
    third = app.fail.delay()

    def found(*words: str) -> list[str]:
        return [job["id"] for job in terminal("jobs", *words, "--json").document["jobs"]]

    assert found() == [third.id, gone.id, mails.id]
    assert found("--status", "cancelled") == [gone.id]
    assert found("--task", "market.fail") == [third.id]
    assert found("--queue", "mails") == found("--tag", "red") == [mails.id]
    assert found("--limit", "1") == [third.id]
    assert found("--before", third.id, "--limit", "1") == [gone.id]


def test_the_keys_of_a_job_are_a_promise(terminal: Terminal) -> None:
    terminal.app.add.apply_async((1, 2), unique_key="k", metadata={"by": "me"}, timeout=1.5)
    [job] = terminal("jobs", "--json").document["jobs"]
    assert list(job) == [
        "id", "queue", "task_name", "status", "priority", "progress", "message", "retry_count",
        "max_retries", "created_at", "scheduled_at", "started_at", "completed_at", "error",
        "timeout_ms", "unique_key", "metadata", "tags", "blocked_by", "cancel_requested", "worker",
        "origin", "schedule",
    ]  # fmt: skip
    assert (job["timeout_ms"], job["unique_key"], job["metadata"]) == (1500, "k", {"by": "me"})


def test_a_job_with_all_that_is_kept_of_it(terminal: Terminal) -> None:
    app = terminal.app
    last = chain(app.add.si(1, 2), app.add.si(3, 4)).delay()
    first = last.parent
    terminal.ended(last)
    fresh = first.replay()
    shown = terminal("jobs", "show", first.id)
    assert (shown.code, shown.err) == (0, "")
    assert all(len(line) <= WIDTH for line in shown.out.splitlines())
    for line in (
        "status     complete",
        "arguments  [[1, 2], {}]",
        "result     3",
        last.id,
        fresh.id,
    ):
        assert line in shown.out
    for title in ("Waited for by", "Repeated by", "Attempts", "Logs", "Parts"):
        assert title in shown.lines
    assert "Errors" not in shown.out
    assert 'info   adding {"x": 1}' in shown.out
    assert '{"sum": 3}' in shown.out

    document = terminal("jobs", "show", first.id, "--json").document
    assert list(document) == [
        "job", "arguments", "result", "errors", "logs", "parts", "metrics", "family", "repeats",
    ]  # fmt: skip
    assert (document["arguments"], document["result"]) == ([[1, 2], {}], 3)
    assert document["logs"][0]["extra"] == {"x": 1}
    assert document["parts"][0]["value"] == {"sum": 3}
    assert document["metrics"][0]["ended"] == "complete"
    assert document["family"] == {"parents": [], "dependents": [last.id]}
    assert [repeat["job_id"] for repeat in document["repeats"]] == [fresh.id]


def test_an_error_is_shown_as_it_is_and_steers_no_terminal(terminal: Terminal) -> None:
    job = terminal.app.fail.delay()
    terminal.ended(job)
    shown = terminal("jobs", "show", job.id)
    assert "Error of attempt 1" in shown.out
    assert "Traceback (most recent call last):" in shown.lines
    assert "ValueError: [bold]boom[/]: \\x1b[31m" in shown.out
    assert "\x1b" not in shown.out
    document = terminal("jobs", "show", job.id, "--json").document
    assert document["errors"][0]["traceback"].startswith("Traceback")


# -------------------------------------------------------------- letters, queues, schedules


def test_dead_letters(terminal: Terminal) -> None:
    newest, oldest = terminal.dead(2)
    shown = terminal("dead")
    assert (shown.code, len(shown.lines)) == (0, 3)
    assert shown.lines[1].startswith(f"{newest}  ")
    assert "ValueError: [bold]" in shown.lines[1]
    assert all(len(line) <= WIDTH for line in shown.out.splitlines())
    letters = terminal("dead", "--json").document["dead_letters"]
    assert [letter["id"] for letter in letters] == [newest, oldest]
    assert list(letters[0]) == [
        "id", "original_job_id", "queue", "task_name", "error", "retry_count", "failed_at",
        "metadata",
    ]  # fmt: skip
    [letter] = terminal("dead", "--limit", "1", "--json").document["dead_letters"]
    assert letter["id"] == newest


def test_queues(terminal: Terminal) -> None:
    terminal.app.add.apply_async((1, 2), queue="mails")
    terminal.queue.pause("slow")
    shown = terminal("queues")
    assert shown.lines == [
        "queue  pending  running  state",
        "mails        1        0  open",
        "slow         0        0  paused",
    ]
    assert terminal("queues", "--json").document == {
        "queues": [
            {"name": "mails", "paused": False, "pending": 1, "running": 0},
            {"name": "slow", "paused": True, "pending": 0, "running": 0},
        ]
    }


def test_schedules(terminal: Terminal) -> None:
    terminal.queue.add_periodic("market.add", every=3600, name="hourly", args=[1, 2])
    terminal.queue.trigger_periodic("market.report")
    terminal.queue.pause_periodic("market.report")
    shown = terminal("schedules")
    hourly, report = shown.lines[1:]
    assert hourly.startswith("hourly ")
    assert hourly.endswith("on")
    assert report.endswith("paused")
    assert all(len(line) <= WIDTH for line in shown.out.splitlines())
    first, second = terminal("schedules", "--json").document["schedules"]
    assert list(first) == [
        "name", "task_name", "trigger", "description", "tz", "overlap", "catch_up", "jitter",
        "paused", "edited", "is_stale", "next_run", "last_run", "last_job_id",
    ]  # fmt: skip
    assert (first["trigger"], first["next_run"] % HOUR_MS) == ("every:3600", 0)
    assert (second["paused"], second["next_run"]) == (True, None)


# --------------------------------------------------------------------------------- words

SPANS = [
    (0.0004, "0 ms"), (0.5, "500 ms"), (1, "1 s"), (59.9, "59 s"), (60, "1 min"),
    (3600 * 23, "23 h"), (86_400 * 9, "9 d"),
]  # fmt: skip


@pytest.mark.parametrize(("seconds", "words"), SPANS)
def test_spans_in_words(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_moments_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)
    moments = {
        None: "never",
        1_000_000_000: "now",
        999_700_000: "5 min ago",
        1_007_200_000: "in 2 h",
    }
    assert {moment: ago(moment) for moment in moments} == moments


def test_what_would_steer_a_terminal_is_escaped() -> None:
    assert plain("a\x1b[2J\r\tb\nc\u202ed é") == "a\\x1b[2J\\r    b\nc\\u202ed é"
