"""What the machine asks for: few names, so that its steps meet; short times, so that they pass."""

from dataclasses import dataclass
from enum import StrEnum

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

IDS = [f"j{n}" for n in range(24)]
QUEUES = ["a", "b"]
WORKERS = ["w1", "w2", "w3"]
SCHEDULES = ["s1", "s2"]
START = ManualClock().now()
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

windows = st.builds(
    UniqueKey,
    key=st.sampled_from(["k1", "k2"]),
    scope=st.just(Scope.WINDOW),
    on_conflict=st.sampled_from(OnConflict),
    window=st.sampled_from([5.0, 60.0]),
)
keys = st.builds(
    UniqueKey,
    key=st.sampled_from(["k1", "k2"]),
    scope=st.sampled_from([Scope.PENDING, Scope.RUNNING]),
    on_conflict=st.sampled_from(OnConflict),
)
lanes = st.sampled_from(
    [
        None,
        None,
        Lane("l1"),
        Lane("l1", max_running=1),
        Lane("l1", interval=0.5, max_running=2),
        Lane("l2", interval=5.0),
    ]
)
new_jobs = st.builds(
    NewJob,
    id=st.sampled_from(IDS),
    task=st.sampled_from(["t1", "t2"]),
    queue=st.sampled_from(QUEUES),
    payload=st.sampled_from([b"[[],{}]", b'[[1],{"a":2}]']),
    priority=st.integers(-1, 1),
    delay=st.sampled_from([0.0, 0.0, 0.0, 1.0, 60.0]),
    run_at=st.sampled_from([None, None, None, None, START, START + 30_000]),
    retry=st.builds(RetryPolicy, st.integers(0, 3), delays=st.sampled_from([(), (), (1.0, 2.5)])),
    timeout=st.sampled_from([None, 2.5]),
    expires=st.sampled_from([*[None] * 6, 0.0, 5.0, 100.0]),
    result_ttl=st.sampled_from([None, None, 0.0, 5.0, 100.0]),
    unique=st.one_of(st.none(), st.none(), keys, windows),
    on_parent_failure=st.sampled_from(OnParentFailure),
    inputs=st.sampled_from(Inputs),
    lane=lanes,
    metadata=st.sampled_from([None, {}, {"n": [1, None]}]),
    tags=st.lists(st.sampled_from(["x", "y"]), max_size=2, unique=True).map(tuple),
    schedule=st.sampled_from([None, None, None, *SCHEDULES]),
)
parents = st.sampled_from([*[()] * 8, (0,), (1,), (0, 1), (2, 0, 5), (3, 3), (8, 1), (0, UNKNOWN)])
drafts = st.builds(Draft, new_jobs, parents)
# An id stands for one request: whoever repeats it asks for the same.
batches = st.lists(drafts, min_size=1, max_size=4, unique_by=lambda draft: draft.job.id)
families = st.lists(
    st.builds(Draft, new_jobs, st.sampled_from([(), (0,), (0,), (0, 1), (1, 0), (0, 2)])),
    min_size=3,
    max_size=5,
    unique_by=lambda draft: draft.job.id,
)

failures = st.builds(Failure, st.sampled_from(["Boom", "Bang"]), st.sampled_from(["", "broke"]))
ends = st.builds(
    End,
    back=st.integers(0, 6),
    move=st.sampled_from(sorted(frozenset(Move) - {Move.CLAIM, Move.EXPIRE})),
    failure=failures,
    crashed=st.booleans(),
    ran=st.sampled_from([None, 0.0, 1.5]),
)
endings = st.lists(ends, min_size=1, max_size=4)
delays = st.sampled_from([0.0, 0.0, 0.5, 60.0])
shifts = st.sampled_from([0, 0, 0, 0, 1, -1])
lines = st.builds(
    LogLine,
    st.sampled_from(["info", "error"]),
    st.sampled_from(["", "hi"]),
    st.sampled_from([None, {"n": [1, None]}]),
)
news = st.lists(
    st.builds(
        News,
        back=st.integers(0, 6),
        progress=st.sampled_from([None, 0, 50, 100]),
        message=st.sampled_from([None, "", "half"]),
        data=st.sampled_from([None, b"1"]),
        logs=st.lists(lines, max_size=2).map(tuple),
        parts=st.lists(st.binary(max_size=2), max_size=2).map(tuple),
    ),
    min_size=1,
    max_size=3,
)

schedules = st.builds(
    Schedule,
    name=st.sampled_from(SCHEDULES),
    task=st.sampled_from(["t1", "t2"]),
    trigger=st.sampled_from(["every:5", "every:60"]),
    next_at=st.sampled_from([1000, 2000, 3000]),
    tz=st.sampled_from(["UTC", "Asia/Tokyo"]),
    options=st.sampled_from([None, {"priority": 1}]),
    overlap=st.sampled_from(Overlap),
    catch_up=st.sampled_from(CatchUp),
    jitter=st.sampled_from([0.0, 2.5]),
    paused=st.sampled_from([False, False, False, True]),
    edited=st.sampled_from([False, False, False, True]),
)
edits = st.builds(
    Edit,
    trigger=st.sampled_from([None, None, "every:7"]),
    next_at=st.sampled_from([None, None, 5000]),
    tz=st.sampled_from([None, None, "Europe/Berlin"]),
    payload=st.sampled_from([None, None, b"[[3],{}]"]),
    options=st.sampled_from([None, None, {}]),
    overlap=st.sampled_from([None, None, *Overlap]),
    catch_up=st.sampled_from([None, None, *CatchUp]),
    jitter=st.sampled_from([None, None, 0.0]),
    paused=st.sampled_from([None, False, False, True]),
)

instants = st.sampled_from([None, None, START, START + 5000])
filters = st.builds(
    JobFilter,
    states=st.lists(st.sampled_from(State), max_size=3, unique=True).map(tuple),
    task=st.sampled_from([None, "t1"]),
    queue=st.sampled_from([None, None, *QUEUES]),
    tag=st.sampled_from([None, None, "x", "y"]),
    schedule=st.sampled_from([None, None, None, *SCHEDULES]),
    created_after=instants,
    created_before=instants,
    limit=st.integers(0, 5),
)
record_filters = st.builds(
    RecordFilter,
    job_id=st.sampled_from([None, None, *IDS[:3]]),
    task=st.sampled_from([None, None, "t1"]),
    level=st.sampled_from([None, None, "info"]),
    since=instants,
    limit=st.sampled_from([0, 1, 3, 100]),
)
