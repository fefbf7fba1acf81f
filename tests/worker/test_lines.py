"""How claimed jobs are spread over slots, and what a worker's death may cost them."""

import gc
import itertools
import weakref

import pytest

from offload import Queue
from offload.core.decide import Lapsed, Outcome, Returned, decide
from offload.core.job import Job
from offload.core.retry import RetryPolicy
from offload.core.states import Move, State
from offload.worker.pace import LONG, MOST, SHORT, Pace
from offload.worker.run import Run
from offload.worker.runs import Line, Runs, in_lines

queue = Queue("memory://")
ids = itertools.count()


@queue.task
def task() -> None: ...


def ignored(*_: object) -> None: ...


class Owner:
    def __init__(self) -> None:
        self.ends: list[str] = []

    start = begun = said = staticmethod(ignored)

    def ended(self, run: Run, outcome: Outcome) -> None:
        self.ends.append(f"{run.job.id} {type(outcome).__name__}")


owner = Owner()


def run(*, attempt: int = 1, max_retries: int = 3, crashes: int = 0) -> Run:
    job = Job(
        id=f"j{next(ids)}",
        task="t",
        queue="default",
        state=State.RUNNING,
        payload=b"[[],{}]",
        priority=0,
        run_at=0,
        created_at=0,
        retry=RetryPolicy(max_retries),
        attempt=attempt,
        lease=attempt,
        crashes=crashes,
    )
    return Run(job, task, owner)


def test_few_jobs_get_a_slot_each() -> None:
    runs = [run(), run()]
    assert in_lines(runs, 4) == ([[runs[0]], [runs[1]]], [])


def test_many_share_the_slots_in_their_order() -> None:
    runs = [run() for _ in range(5)]
    assert in_lines(runs, 2) == ([[runs[0], runs[2], runs[4]], [runs[1], runs[3]]], [])


def test_slots_that_nobody_asked_for_stay_free() -> None:
    """They became free while the claim was under way; the next one is theirs."""
    runs = [run() for _ in range(4)]
    assert in_lines(runs, 4, most=2) == ([[runs[0], runs[2]], [runs[1], runs[3]]], [])
    assert in_lines(runs, 1, most=2) == ([runs], [])
    assert in_lines(runs, 0, most=2) == ([], runs)


@pytest.mark.parametrize("last", [run(max_retries=0), run(attempt=4), run(crashes=1)])
def test_what_a_death_would_harm_starts_at_once(last: Run) -> None:
    """It would be dead, or nearer to be taken for poison, without having run."""
    others = [run(), run()]
    assert in_lines([*others, last], 2) == ([[last], others], [])


def test_or_is_given_back() -> None:
    last = [run(max_retries=0) for _ in range(3)]
    other = run()
    assert in_lines([*last, other], 2) == ([[last[0]], [last[1]]], [last[2], other])


@pytest.mark.parametrize("waiting", [run(), run(attempt=3), run(attempt=1, max_retries=1)])
def test_a_death_costs_what_waited_no_job(waiting: Run) -> None:
    assert decide(waiting.job, Lapsed("gone"), lambda: 0.0).move is Move.RETRY


def line(length: int, began: float = 0.0) -> Line:
    return Line([run() for _ in range(length)], began)


def test_the_pace_doubles_while_lines_are_short() -> None:
    pace = Pace()
    for expected in (2, 4, 8, 16, 32, 64, MOST, MOST):
        pace.note(line(pace.ahead), SHORT / 2)
        assert pace.ahead == expected


def test_a_line_that_was_not_full_says_nothing() -> None:
    pace = Pace()
    pace.note(line(1), SHORT / 2)
    pace.note(line(1), SHORT / 2)
    assert pace.ahead == 2


def test_the_pace_halves_when_a_line_takes_long_or_is_cut() -> None:
    pace = Pace()
    for _ in range(4):
        pace.note(line(pace.ahead), SHORT / 2)
    pace.note(line(pace.ahead), LONG * 2)
    assert pace.ahead == 8
    pace.slow_down()
    assert pace.ahead == 4


def test_a_cut_gives_back_only_what_has_not_begun() -> None:
    runs = [run() for _ in range(3)]
    owner.ends.clear()
    together = Line(runs, 0.0)
    assert runs[0].begin()
    together.cut()
    runs[0].end(Returned(b"1"))
    first, second, third = (each.job.id for each in runs)
    assert owner.ends == [f"{second} Released", f"{third} Released", f"{first} Returned"]
    assert not runs[1].begin()


def test_a_line_that_has_ended_is_no_garbage() -> None:
    line, runs = Line([run(), run()], 0.0), Runs()
    runs.add(line)
    jobs = [each.job for each in line.runs]
    for each in line.runs:
        each.start_clock()
        each.end(Returned(b"null"))
        runs.returned(each.job)
    runs.remove(jobs)
    ended = [weakref.ref(each) for each in line.runs]
    gc.disable()
    try:
        del line, each
        assert [ref() for ref in ended] == [None, None]
    finally:
        gc.enable()
