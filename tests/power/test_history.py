"""The histories are worth cutting: all that a store does is in them."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from offload.core.states import State
from tests.power.history import record
from tests.power.log import Acknowledged, Create, Log, Sync, Write

SEEDS = ("1/0", "1/1", "1/2")


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Log]:
    folder = tmp_path_factory.mktemp("histories")
    return [asyncio.run(record(seed, folder / str(n))) for n, seed in enumerate(SEEDS)]


def test_every_state_and_every_kind_of_record_comes_up(logs: list[Log]) -> None:
    seen = {record for log in logs for state in log.states for record in state}
    assert {record.partition("(")[0] for record in seen} == {
        "Job",
        "AttemptError",
        "DeadLetter",
        "WorkerRow",
    }
    assert all(any(repr(state) in record for record in seen) for state in State)


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


def test_a_seed_is_one_history(logs: list[Log], tmp_path: Path) -> None:
    assert asyncio.run(record(SEEDS[0], tmp_path / "again")) == logs[0]
