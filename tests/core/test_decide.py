"""What becomes of a job after an attempt: each case by hand, then what holds for all of them."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, strategies as st

from offload.core.decide import (
    POISON_CRASHES,
    Lapsed,
    Outcome,
    Raised,
    Released,
    Returned,
    Stopped,
    decide,
)
from offload.core.job import Job, NewJob, stored
from offload.core.records import Failure, Finish
from offload.core.retry import RetryPolicy
from offload.core.states import Move, State, target

BOOM = Failure("Boom", "it broke", "Traceback: it broke")
POLICY = RetryPolicy(max_retries=2, backoff=8.0, max_delay=100.0)


def running(
    attempt: int = 1, *, crashes: int = 0, cancel: bool = False, policy: RetryPolicy = POLICY
) -> Job:
    """A claimed job; its lease differs from its attempt, as after a release."""
    return replace(
        stored(NewJob("a", "t", retry=policy), 0),
        state=State.RUNNING,
        worker="w",
        attempt=attempt,
        lease=attempt + 3,
        crashes=crashes,
        cancel_requested=cancel,
    )


def half() -> float:
    return 0.5


def lost(crashes: int = 1) -> Failure:
    """What a lapse is recorded as."""
    if crashes < POISON_CRASHES:
        return Failure("WorkerLost", "gone")
    return Failure("PoisonJob", f"its process died {crashes} times; last: gone")


@pytest.mark.parametrize("cancel", [False, True])
@pytest.mark.parametrize("attempt", [1, 2, 3, 9])
def test_a_result_completes_the_job_even_when_it_was_to_stop(attempt: int, *, cancel: bool) -> None:
    job = running(attempt, cancel=cancel)
    finish = decide(job, Returned(b"1"), half)
    assert finish == Finish("a", job.lease, Move.COMPLETE, result=b"1")


@pytest.mark.parametrize("cancel", [False, True])
@pytest.mark.parametrize("attempt", [1, 3])
def test_a_task_that_stopped_is_cancelled_with_its_reason(attempt: int, *, cancel: bool) -> None:
    job = running(attempt, cancel=cancel)
    finish = decide(job, Stopped("enough"), half)
    assert finish == Finish("a", job.lease, Move.CANCEL, failure=Failure("Cancelled", "enough"))
    assert finish.error == "enough"


@pytest.mark.parametrize("cancel", [False, True])
@pytest.mark.parametrize("attempt", [1, 3])
def test_a_released_job_loses_nothing(attempt: int, *, cancel: bool) -> None:
    job = running(attempt, cancel=cancel)
    finish = decide(job, Released(), half)
    assert finish == Finish("a", job.lease, Move.RELEASE)
    assert finish.gives_back_attempt


@pytest.mark.parametrize(
    ("attempt", "move", "delay"),
    [(1, Move.RETRY, 6.0), (2, Move.RETRY, 12.0), (3, Move.BURY, 0.0), (4, Move.BURY, 0.0)],
)
def test_an_error_is_retried_until_the_retries_are_used_up(
    attempt: int, move: Move, delay: float
) -> None:
    # Two retries are three attempts; the third error is the last.
    job = running(attempt)
    assert decide(job, Raised(BOOM), half) == Finish("a", job.lease, move, delay, failure=BOOM)


def test_no_retries_are_one_attempt() -> None:
    job = running(policy=RetryPolicy(0))
    assert decide(job, Raised(BOOM), half).move is Move.BURY
    assert decide(job, Lapsed("gone"), half).move is Move.BURY


@pytest.mark.parametrize("delay", [0.0, 30.0, 1e6])
def test_a_delay_of_the_task_comes_before_the_backoff(delay: float) -> None:
    # Also over the cap, and without asking chance; but it buys no further attempt.
    finish = decide(running(1), Raised(BOOM, delay=delay), half)
    assert (finish.move, finish.delay) == (Move.RETRY, delay)
    assert decide(running(3), Raised(BOOM, delay=delay), half).move is Move.BURY


@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_an_error_that_must_not_be_retried_fails_the_job(attempt: int) -> None:
    job = running(attempt)
    finish = decide(job, Raised(BOOM, retryable=False, delay=5.0), half)
    assert finish == Finish("a", job.lease, Move.FAIL, failure=BOOM)


@pytest.mark.parametrize("retryable", [False, True])
@pytest.mark.parametrize("attempt", [1, 3])
def test_an_error_after_a_request_to_stop_is_a_cancel(attempt: int, *, retryable: bool) -> None:
    finish = decide(running(attempt, cancel=True), Raised(BOOM, retryable=retryable), half)
    assert (finish.move, finish.error) == (Move.CANCEL, "cancelled while running")


@pytest.mark.parametrize(
    ("attempt", "crashes", "move", "delay"),
    [
        (1, 0, Move.RETRY, 0.0),  # the first crash: at once
        (2, 0, Move.RETRY, 0.0),
        (2, 1, Move.RETRY, 6.0),  # the second: after the first backoff
        (3, 0, Move.BURY, 0.0),  # the retries are used up
        (3, 1, Move.BURY, 0.0),
    ],
)
def test_a_lapsed_attempt_counts_as_an_attempt_and_a_crash(
    attempt: int, crashes: int, move: Move, delay: float
) -> None:
    job = running(attempt, crashes=crashes)
    finish = decide(job, Lapsed("gone"), half)
    assert finish == Finish("a", job.lease, move, delay, failure=lost(), crashed=True)


@pytest.mark.parametrize("crashes", [2, 3, 7])
@pytest.mark.parametrize("attempt", [1, 3, 4])
def test_a_job_that_kills_its_process_is_buried_whatever_its_retries(
    attempt: int, crashes: int
) -> None:
    job = running(attempt, crashes=crashes, policy=RetryPolicy(1000))
    finish = decide(job, Lapsed("gone"), half)
    assert finish == Finish("a", job.lease, Move.BURY, failure=lost(crashes + 1), crashed=True)


@pytest.mark.parametrize("crashes", [0, 2])
def test_a_lapse_after_a_request_to_stop_is_a_cancel(crashes: int) -> None:
    finish = decide(running(crashes=crashes, cancel=True), Lapsed("gone"), half)
    assert finish.move is Move.CANCEL
    assert finish.error == "its worker died after a cancel was asked for"


@pytest.mark.parametrize("crashes", [0, 2, 5])
def test_a_lapse_without_a_crash_is_no_poison(crashes: int) -> None:
    """A worker that froze, or that runs functions elsewhere, was not killed by this one."""
    finish = decide(running(crashes=crashes), Lapsed("silent", crashed=False), half)
    assert (finish.move, finish.crashed) == (Move.RETRY, False)


def test_three_crashes_are_poison() -> None:
    assert POISON_CRASHES == 3


OUTCOMES: list[Outcome] = [
    Returned(b"1"),
    Stopped(),
    Released(),
    Lapsed("gone"),
    *(Raised(BOOM, r, d) for r, d in product([True, False], [None, 0.0, 30.0])),
]


def expected(job: Job, outcome: Outcome) -> Move:
    """The table of DESIGN §2 and §5, as nested questions."""
    match outcome:
        case Returned():
            return Move.COMPLETE
        case Released():
            return Move.RELEASE
        case Stopped():
            return Move.CANCEL
    if job.cancel_requested:
        return Move.CANCEL
    if isinstance(outcome, Raised) and not outcome.retryable:
        return Move.FAIL
    poison = isinstance(outcome, Lapsed) and job.crashes + 1 >= POISON_CRASHES
    return Move.BURY if poison or job.attempt > job.retry.max_retries else Move.RETRY


@pytest.mark.parametrize("outcome", OUTCOMES, ids=repr)
def test_every_combination(outcome: Outcome) -> None:
    for attempt, crashes, retries, cancel in product(range(1, 7), range(5), range(5), [0, 1]):
        policy = RetryPolicy(retries)
        job = running(attempt, crashes=crashes, cancel=bool(cancel), policy=policy)
        finish = decide(job, outcome, half)
        assert finish.move is expected(job, outcome), job


jobs = st.builds(
    running,
    st.integers(1, 50),
    crashes=st.integers(0, 5),
    cancel=st.booleans(),
    policy=st.builds(RetryPolicy, st.integers(0, 50), st.floats(0.001, 1e3), st.floats(1, 1e4)),
)
outcomes: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Returned, st.binary()),
    st.builds(Stopped, st.text()),
    st.just(Released()),
    st.builds(Lapsed, st.text()),
    st.builds(Raised, st.just(BOOM), st.booleans(), st.one_of(st.none(), st.floats(0, 1e6))),
)
draws = st.floats(0, 1, exclude_max=True)


@given(jobs, outcomes, draws)
def test_what_holds_for_every_decision(job: Job, outcome: Outcome, draw: float) -> None:
    finish = decide(job, outcome, lambda: draw)
    target(State.RUNNING, finish.move)  # the state machine has the arrow
    assert (finish.job_id, finish.lease) == (job.id, job.lease)
    assert finish.delay >= 0
    assert (finish.delay == 0) or finish.move is Move.RETRY
    assert (finish.result is not None) == (finish.move is Move.COMPLETE)
    assert (finish.failure is None) == (finish.move in {Move.COMPLETE, Move.RELEASE})
    assert finish.gives_back_attempt == isinstance(outcome, Released)
    assert not finish.crashed or isinstance(outcome, Lapsed)


@given(jobs, outcomes, draws)
def test_no_job_gets_more_attempts_than_it_has_retries(
    job: Job, outcome: Outcome, draw: float
) -> None:
    if decide(job, outcome, lambda: draw).move is Move.RETRY:
        assert job.attempt <= job.retry.max_retries


@given(jobs, draws)
def test_an_error_waits_as_the_policy_says(job: Job, draw: float) -> None:
    finish = decide(job, Raised(BOOM), lambda: draw)
    if finish.move is Move.RETRY:
        assert finish.delay == job.retry.delay(job.attempt, lambda: draw)


@given(st.integers(0, 30), st.lists(outcomes, min_size=40, max_size=40), draws)
def test_every_life_ends(retries: int, fates: list[Outcome], draw: float) -> None:
    # Whatever happens to it, a job that is not given back for ever ends within its budget.
    job = running(1, policy=RetryPolicy(retries))
    starts = 1
    for outcome in fates:
        if isinstance(outcome, Released):
            continue
        finish = decide(job, outcome, lambda: draw)
        if finish.move is not Move.RETRY:
            break
        starts += 1
        job = replace(job, attempt=job.attempt + 1, crashes=job.crashes + finish.crashed)
    assert starts <= retries + 1


@pytest.mark.parametrize(
    "outcome",
    [
        Returned(b"1"),
        Raised(BOOM),
        Raised(BOOM, retryable=False),
        Stopped(),
        Released(2.0),
        Lapsed("gone"),
    ],
)
def test_what_a_run_took_goes_with_every_end_and_decides_nothing(outcome: Outcome) -> None:
    bare = decide(running(), outcome, half)
    assert (bare.ran, bare.memory) == (None, None)
    told = decide(running(), outcome, half, ran=1.5, memory=7)
    assert told == replace(bare, ran=1.5, memory=7)
