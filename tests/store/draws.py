"""What the machine asks for: few names, so that its steps meet; short times, so that they pass."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import permutations, product
from typing import Any, TypeVar

from hypothesis import strategies as st

from offload.core.job import Inputs, NewJob, OnParentFailure
from offload.core.lane import Lane
from offload.core.records import Failure, LogLine
from offload.core.retry import RetryPolicy
from offload.core.schedule import CatchUp, Edit, Overlap, Schedule
from offload.core.states import Move, State
from offload.core.unique import OnConflict, Scope, UniqueKey
from offload.store.base import JobFilter, RecordFilter
from offload.testing import ManualClock

T = TypeVar("T")

IDS = [f"j{n}" for n in range(24)]
QUEUES = ["a", "b"]
WORKERS = ["w1", "w2", "w3"]
SCHEDULES = ["s1", "s2"]
START = ManualClock().now()
BYTE = 256
UNKNOWN = 99
"""The parent that is not there."""


class Fault(StrEnum):
    """What goes wrong with a call of the file; the model's calls never fail."""

    NONE = "none"
    LOST = "the reply is lost, so the caller asks again"
    CUT = "the call is cancelled"
    CLOSED = "the store is closed meanwhile, as when its process ends"


@dataclass(frozen=True)
class Draft:
    """A request whose parents are chosen among the jobs that are there by then."""

    job: NewJob
    parents: tuple[int, ...] = ()


@dataclass(frozen=True)
class End:
    """How to end a claimed job, counted from the last one."""

    back: int
    move: Move
    failure: Failure
    crashed: bool
    ran: float | None


@dataclass(frozen=True)
class News:
    """What a claimed job says."""

    back: int
    progress: int | None
    message: str | None
    data: bytes | None
    logs: tuple[LogLine, ...]
    parts: tuple[bytes, ...]


faults = st.sampled_from([*[Fault.NONE] * 20, Fault.LOST, Fault.CUT, Fault.CLOSED])
ages = st.sampled_from([None, 0.0, 5.0, 60.0])
queue_lists = st.sampled_from([None, None, ["a"], ["b"], ["b", "a"], []])
workers = st.sampled_from(WORKERS)
few = st.integers(0, 4)


def chosen(make: Callable[..., T], **options: Sequence[Any]) -> st.SearchStrategy[T]:
    """Make something of one option each, the first of which are the simplest.

    All choices are one draw of Hypothesis, a byte each: for a job's two dozen, its bookkeeping
    would take longer than all that the stores do with the job.
    """
    assert all(len(each) <= BYTE for each in options.values())
    choices = st.binary(min_size=len(options), max_size=len(options))

    # Not `map`: a failure would then show the bytes, and not what was made of them.
    @st.composite
    def made(draw: st.DrawFn) -> T:
        picks = zip(options.items(), draw(choices), strict=True)
        return make(**{name: values[byte % len(values)] for (name, values), byte in picks})

    return made()


def some(options: Sequence[T], most: int) -> list[tuple[T, ...]]:
    """List every choice of up to so many, in any order."""
    return [each for size in range(most + 1) for each in permutations(options, size)]


windows = [
    UniqueKey(key, Scope.WINDOW, conflict, window)
    for key, conflict, window in product(["k1", "k2"], OnConflict, [5.0, 60.0])
]
keys = [
    UniqueKey(key, scope, conflict)
    for key, scope, conflict in product(["k1", "k2"], [Scope.PENDING, Scope.RUNNING], OnConflict)
]
lanes = [
    None,
    None,
    Lane("l1"),
    Lane("l1", max_running=1),
    Lane("l1", interval=0.5, max_running=2),
    Lane("l2", interval=5.0),
]
JOB: dict[str, Sequence[Any]] = {
    "id": IDS,
    "task": ["t1", "t2"],
    "queue": QUEUES,
    "payload": [b"[[],{}]", b'[[1],{"a":2}]'],
    "priority": [0, 1, -1],
    "delay": [0.0, 0.0, 0.0, 1.0, 60.0],
    "run_at": [None, None, None, None, START, START + 30_000],
    "retry": [RetryPolicy(n, delays=delays) for delays in [(), (), (1.0, 2.5)] for n in range(4)],
    "timeout": [None, 2.5],
    "expires": [*[None] * 6, 0.0, 5.0, 100.0],
    "result_ttl": [None, None, 0.0, 5.0, 100.0],
    "unique": [*[None] * (len(keys) + len(windows)), *keys, *windows],
    "on_parent_failure": list(OnParentFailure),
    "inputs": list(Inputs),
    "lane": lanes,
    "metadata": [None, {}, {"n": [1, None]}],
    "tags": some(["x", "y"], 2),
    "schedule": [None, None, None, *SCHEDULES],
}
PARENTS = [*[()] * 8, (0,), (1,), (0, 1), (2, 0, 5), (3, 3), (8, 1), (0, UNKNOWN)]
SIBLINGS = [(), (0,), (0,), (0, 1), (1, 0), (0, 2)]


def drafted(parents: tuple[int, ...], **job: Any) -> Draft:
    return Draft(NewJob(**job), parents)


new_jobs = chosen(NewJob, **JOB)
drafts = chosen(drafted, parents=PARENTS, **JOB)
# An id stands for one request: whoever repeats it asks for the same.
batches = st.lists(drafts, min_size=1, max_size=4, unique_by=lambda draft: draft.job.id)
families = st.lists(
    chosen(drafted, parents=SIBLINGS, **JOB),
    min_size=3,
    max_size=5,
    unique_by=lambda draft: draft.job.id,
)

FAILURES = [Failure(error, text) for error, text in product(["Boom", "Bang"], ["", "broke"])]
failures = st.sampled_from(FAILURES)
ends = chosen(
    End,
    back=range(7),
    move=sorted(frozenset(Move) - {Move.CLAIM, Move.EXPIRE}),
    failure=FAILURES,
    crashed=[False, True],
    ran=[None, 0.0, 1.5],
)
endings = st.lists(ends, min_size=1, max_size=4)
delays = st.sampled_from([0.0, 0.0, 0.5, 60.0])
shifts = st.sampled_from([0, 0, 0, 0, 1, -1])
LINES = [
    LogLine(level, text, data)
    for level, text, data in product(["info", "error"], ["", "hi"], [None, {"n": [1, None]}])
]
PARTS = [b"", b"1", b"\x00\xff"]
news = st.lists(
    chosen(
        News,
        back=range(7),
        progress=[None, 0, 50, 100],
        message=[None, "", "half"],
        data=[None, b"1"],
        logs=some(LINES, 2),
        parts=some(PARTS, 2),
    ),
    min_size=1,
    max_size=3,
)

schedules = chosen(
    Schedule,
    name=SCHEDULES,
    task=["t1", "t2"],
    trigger=["every:5", "every:60"],
    next_at=[1000, 2000, 3000],
    tz=["UTC", "Asia/Tokyo"],
    options=[None, {"priority": 1}],
    overlap=list(Overlap),
    catch_up=list(CatchUp),
    jitter=[0.0, 2.5],
    paused=[False, False, False, True],
    edited=[False, False, False, True],
)
edits = chosen(
    Edit,
    trigger=[None, None, "every:7"],
    next_at=[None, None, 5000],
    tz=[None, None, "Europe/Berlin"],
    payload=[None, None, b"[[3],{}]"],
    options=[None, None, {}],
    overlap=[None, None, *Overlap],
    catch_up=[None, None, *CatchUp],
    jitter=[None, None, 0.0],
    paused=[None, False, False, True],
)

INSTANTS = [None, None, START, START + 5000]
filters = chosen(
    JobFilter,
    states=some(list(State), 3),
    task=[None, "t1"],
    queue=[None, None, *QUEUES],
    tag=[None, None, "x", "y"],
    schedule=[None, None, None, *SCHEDULES],
    created_after=INSTANTS,
    created_before=INSTANTS,
    limit=range(6),
)
record_filters = chosen(
    RecordFilter,
    job_id=[None, None, *IDS[:3]],
    task=[None, None, "t1"],
    level=[None, None, "info"],
    since=INSTANTS,
    limit=[0, 1, 3, 100],
)
