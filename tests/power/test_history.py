"""The histories are worth cutting: all that a store does is in them."""

import asyncio
from itertools import pairwise

import pytest

from offload.core.states import State
from offload.store.base import Store
from tests.power.history import record
from tests.power.log import Acknowledged, Create, Log, Sync, Write
from tests.power.run import scratch

SEEDS = ("1/0", "1/1", "1/2", "1/3", "1/4")

READS = {
    *("get", "search", "stats", "queues", "errors", "logs", "metrics", "parts", "family"),
    *("repeats", "dead_letters", "workers", "schedules", "lapsed", "now"),
}
BESIDE = {"open", "close", "cursor", "wait"}
WRITES = {name for name in vars(Store) if not name.startswith("_")} - READS - BESIDE


def recorded(seed: str) -> Log:
    with scratch() as folder:
        return asyncio.run(record(seed, folder / "live"))


@pytest.fixture(scope="module")
def logs() -> list[Log]:
    return [recorded(seed) for seed in SEEDS]


def test_every_state_and_every_kind_of_record_comes_up(logs: list[Log]) -> None:
    seen = {record for log in logs for state in log.states for record in state}
    assert {record.partition("(")[0] for record in seen} == {
        "AttemptError",
        "DeadLetter",
        "Family",
        "Job",
        "JobLog",
        "Metric",
        "Part",
        "QueueRow",
        "Repeat",
        "Schedule",
        "Token",
        "WorkerRow",
    }
    assert all(any(repr(state) in record for record in seen) for state in State)


def test_every_method_that_writes_is_called(logs: list[Log]) -> None:
    called = {answer.partition(":")[0] for log in logs for answer in log.answers[1:]}
    assert called == WRITES


def test_the_answers_that_matter_come_up(logs: list[Log]) -> None:
    answers = [answer for log in logs for answer in log.answers]
    for wanted in (
        "enqueue: DuplicateJob",
        "enqueue: DependencyError",
        "fire: [None",
        "fire: [[Job",
        "replay: {'j",
        "retry_dead: {'j",
        "acquire: None",
        "release: True",
        "set_paused: True",
        "report: [True",
        "finish: [True",
        "finish: [False",
    ):
        assert any(answer.startswith(wanted) for answer in answers), wanted


def test_commits_are_shared_and_the_main_file_is_written(logs: list[Log]) -> None:
    for log in logs:
        answers = [isinstance(event, Acknowledged) for event in log.events]
        assert any(one and two for one, two in pairwise(answers))
        main = {e.file for e in log.events if isinstance(e, Create) and e.name == "jobs.db"}
        assert sum(isinstance(e, Sync) and e.file in main for e in log.events) > 5
        assert sum(isinstance(e, Write) and e.file in main for e in log.events) > 20


def test_the_file_is_closed_and_opened_again(logs: list[Log]) -> None:
    made = [e.name for log in logs for e in log.events if isinstance(e, Create)]
    assert made.count("jobs.db") == len(logs)
    assert made.count("jobs.db-wal") > 2 * len(logs)


def test_a_seed_is_one_history(logs: list[Log]) -> None:
    assert recorded(SEEDS[0]) == logs[0]
