"""The values that travel: what a request becomes, and what a dead job is repeated as."""

from dataclasses import fields, replace

import pytest
from hypothesis import given, strategies as st

from offload.core.job import (
    Inputs,
    Job,
    NewJob,
    OnParentFailure,
    begun,
    fed,
    orphaned,
    repeated,
    stored,
)
from offload.core.lane import Lane
from offload.core.records import Failure, Finish
from offload.core.retry import RetryPolicy
from offload.core.states import FINAL, Move, State
from offload.core.unique import UniqueKey

NOW = 1_700_000_000_000

FULL = NewJob(
    id="a",
    task="app.task",
    queue="q",
    payload=b"[[1],{}]",
    priority=7,
    delay=1.5,
    run_at=None,
    retry=RetryPolicy(9, 2.0, 5.0),
    timeout=2.5,
    expires=60.0,
    result_ttl=3.5,
    unique=UniqueKey("k"),
    depends_on=("p",),
    on_parent_failure=OnParentFailure.RUN,
    inputs=Inputs.LIST,
    lane=Lane("l", max_running=1),
    metadata={"n": 1},
    tags=("x",),
    origin="older",
    schedule="s",
    tick=NOW,
)
NAMES = {field.name for field in fields(NewJob)}


def test_all_that_was_asked_for_is_stored() -> None:
    job = stored(FULL, NOW)
    # What a store needs besides: until when the key is held, whom the job waits for, the limits.
    beside = {"unique", "depends_on", "on_parent_failure", "inputs", "lane"}
    for name in NAMES - {"delay", "run_at", "expires"} - beside:
        assert getattr(job, name) == getattr(FULL, name), name
    assert (job.unique_key, job.lane) == ("k", "l")
    assert (job.created_at, job.run_at, job.expires_at) == (NOW, NOW + 1500, NOW + 60_000)


def test_a_stored_job_has_done_nothing_yet() -> None:
    job = stored(NewJob("a", "t"), NOW)
    assert job.state is State.PENDING
    assert (job.attempt, job.lease, job.crashes, job.version) == (0, 0, 0, 1)
    assert (job.worker, job.started_at, job.finished_at) == (None, None, None)
    assert (job.progress, job.result, job.error, job.cancel_requested) == (None, None, None, False)
    assert (job.run_at, job.expires_at) == (NOW, None)


@given(st.floats(0, 1e6), st.one_of(st.none(), st.integers(0, 2 * NOW)))
def test_no_job_is_due_before_it_came(delay: float, run_at: int | None) -> None:
    job = stored(NewJob("a", "t", delay=delay, run_at=run_at), NOW)
    assert job.run_at >= NOW
    if run_at is None:
        assert job.run_at == NOW + round(delay * 1000)
    else:
        assert job.run_at == max(run_at, NOW)  # an instant comes before a delay


def test_what_expires_at_once_is_not_what_never_expires() -> None:
    assert stored(NewJob("a", "t", expires=0.0), NOW).expires_at == NOW
    assert stored(NewJob("a", "t"), NOW).expires_at is None


def test_a_repeated_job_is_the_same_request() -> None:
    dead = replace(
        stored(FULL, NOW),
        state=State.DEAD,
        attempt=10,
        lease=12,
        crashes=2,
        finished_at=NOW,
        error="Boom",
    )
    again = repeated(dead, "b")
    # Each field of a request is either carried over or left out for a reason: a new one must
    # be put on one of the two sides.
    fresh = {"id": "b", "origin": "a"}
    parents = {
        "depends_on": (),
        "on_parent_failure": OnParentFailure.CANCEL,
        "inputs": Inputs.NONE,
    }
    ticks = {"schedule": None, "tick": None}
    left_out = {"delay": 0.0, "run_at": None, "expires": None, "unique": None, **parents, **ticks}
    for name in NAMES - fresh.keys() - left_out.keys() - {"lane"}:
        assert getattr(again, name) == getattr(FULL, name), name
    assert again.lane == Lane("l")  # which keeps the limits that it has by now
    for name, value in (fresh | left_out).items():
        assert getattr(again, name) == value, name


@pytest.mark.parametrize("state", State)
def test_final_jobs_know_it(state: State) -> None:
    job = replace(stored(NewJob("a", "t"), NOW), state=state)
    assert job.is_final == (state in FINAL)


@pytest.mark.parametrize(
    ("failure", "line"),
    [
        (Failure("ValueError", "no"), "ValueError: no"),
        (Failure("KeyError", ""), "KeyError"),
        (Failure("E", "two\nlines", "Traceback"), "E: two …"),
    ],
)
def test_a_failure_is_shown_in_one_line(failure: Failure, line: str) -> None:
    assert failure.summary() == line
    assert Finish("a", 1, Move.FAIL, failure=failure).error == line


@pytest.mark.parametrize("move", Move)
def test_only_a_release_gives_back_the_attempt(move: Move) -> None:
    finish = Finish("a", 1, move)
    assert finish.gives_back_attempt == (move is Move.RELEASE)
    assert finish.error is None


def test_a_cancel_tells_its_reason_without_a_type() -> None:
    failure = Failure("Cancelled", "asked to stop")
    assert Finish("a", 1, Move.CANCEL, failure=failure).error == "asked to stop"


@pytest.mark.parametrize(
    ("inputs", "results", "after"),
    [
        (Inputs.NONE, [b"1", b"2"], b'[[9],{"a":0}]'),
        (Inputs.FIRST, [b"1", b"2"], b'[[1,9],{"a":0}]'),
        (Inputs.LIST, [b"1", b"null"], b'[[[1,null],9],{"a":0}]'),
        (Inputs.LIST, [], b'[[9],{"a":0}]'),
    ],
)
def test_results_are_put_in_as_the_first_argument(
    inputs: Inputs, results: list[bytes], after: bytes
) -> None:
    assert fed(b'[[9],{"a":0}]', inputs, results) == after


def test_the_only_argument_needs_no_comma() -> None:
    assert fed(b"[[],{}]", Inputs.FIRST, [b'"x"']) == b'[["x"],{}]'


def test_an_orphan_names_its_parent_and_how_that_ended() -> None:
    parent = replace(stored(NewJob("a", "t"), NOW), state=State.DEAD)
    assert orphaned(parent) == "dependency a dead"


def parent(job_id: str, state: State) -> Job:
    return replace(stored(NewJob(job_id, "t"), NOW), state=state, result=job_id.encode())


@pytest.mark.parametrize("rule", OnParentFailure)
def test_parents_block_a_job_feed_it_or_end_it(rule: OnParentFailure) -> None:
    asked = NewJob("c", "t", payload=b"[[],{}]", inputs=Inputs.LIST, on_parent_failure=rule)
    job = stored(asked, NOW)
    done, runs = parent("1", State.COMPLETE), parent("2", State.RUNNING)
    assert begun(job, asked, [done, runs, done, runs]) == replace(job, blockers=1)
    fresh = begun(job, asked, [done, done])
    assert (fresh.payload, fresh.blockers, fresh.state) == (b"[[[1,1]],{}]", 0, State.PENDING)
    dead, failed = parent("3", State.DEAD), parent("4", State.FAILED)
    ended = begun(job, asked, [done, runs, dead, failed])
    if rule is OnParentFailure.RUN:
        assert (ended.state, ended.blockers) == (State.PENDING, 1)
    else:
        found = (ended.state, ended.error, ended.finished_at)
        assert found == (State.CANCELLED, orphaned(dead), NOW)
