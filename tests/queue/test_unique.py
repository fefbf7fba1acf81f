"""Jobs of which there is one at a time: keys, scopes, conflicts."""

import asyncio
from typing import Any

import pytest

from offload import ArgumentError, ConfigurationError, DuplicateJob, Queue, Unique, chain
from offload.core.unique import OnConflict, Scope, UniqueKey
from tests.worker.staging import reached, working

UNSAID: Any = object()


def made(queue: Queue, unique: Any, **said: Any) -> Any:
    @queue.task(name=said.pop("name", "made"), unique=unique)
    def work(user: int, text: str = "hi", *rest: int, loud: bool = False) -> None: ...

    return work


def key(task: Any, *args: Any, **kwargs: Any) -> str:
    unique: UniqueKey = task.new_job(args, kwargs).unique
    return unique.key


def test_by_default_all_arguments_are_the_key(queue: Queue) -> None:
    task = made(queue, unique=True)
    assert task.delay(1).id == task.delay(1).id
    same = {
        key(task, 1),
        key(task, user=1),
        key(task, 1, "hi"),
        key(task, 1, text="hi", loud=False),
    }
    assert len(same) == 1
    others = {key(task, 2), key(task, 1, "ho"), key(task, 1, loud=True), key(task, 1, "hi", 3)}
    assert len(others | same) == 5
    assert key(made(queue, unique=True, name="other"), 1) not in same


def test_a_key_of_some_arguments(queue: Queue) -> None:
    one = made(queue, Unique(key="user"))
    assert key(one, 1, "a") == key(one, 1, "b", loud=True) != key(one, 2, "a")
    two = made(queue, Unique(key=("user", "text")), name="two")
    assert key(two, 1) == key(two, 1, "hi") == key(two, 1, "hi", loud=True) != key(two, 1, "ho")
    assert key(one, 1) != key(made(queue, Unique(key="user"), name="three"), 1)


def test_a_key_of_values_that_only_look_alike_differs(queue: Queue) -> None:
    @queue.task(unique=True)
    def pair(a: str, b: str) -> None: ...

    @queue.task(unique=True)
    def untyped(a: Any) -> None: ...

    assert key(pair, "x", "y;b=z") != key(pair, "x;b=y", "z")
    assert len({key(untyped, value) for value in (1, "1", [1], (1,), True, 1.5, None)}) == 7


def test_a_function_gives_the_key_itself(queue: Queue) -> None:
    task = made(queue, Unique(key=lambda user, **_: f"user-{user}"))
    assert key(task, 7, "a") == "user-7"
    assert key(made(queue, Unique(key=lambda text, **_: text), name="b"), 7) == "hi"
    for wrong in (None, "", 1.5, b"k", True, "\ud800"):
        task = made(queue, Unique(key=lambda wrong=wrong, **_: wrong), name=f"c{wrong!r}")
        with pytest.raises(ConfigurationError, match="must be a text or a whole number"):
            task.delay(1)


def test_arguments_that_do_not_fit_are_refused_before_a_key_is_made(queue: Queue) -> None:
    def never(**_: Any) -> str:
        raise AssertionError("called with arguments that are wrong")

    with pytest.raises(ArgumentError):
        made(queue, Unique(key=never)).delay("x")


def test_a_default_that_cannot_be_carried_does_not_stand_in_the_way(queue: Queue) -> None:
    @queue.task(unique=True)
    def work(x: int, y: int = UNSAID) -> None: ...

    assert key(work, 1) == key(work, 1) != key(work, 2)


def test_the_calls_unique_comes_before_the_tasks(queue: Queue) -> None:
    task = made(queue, Unique(key="user", on_conflict="reject"))
    job = task.new_job([1], {}, unique_key="mine")
    assert job.unique == UniqueKey("mine", on_conflict=OnConflict.REJECT)
    assert task.new_job([1], {}, unique=False).unique is None
    window = Unique(scope="window", window=5)
    assert task.new_job([1], {}, unique=window, unique_key="k").unique == UniqueKey(
        "k", Scope.WINDOW, window=5
    )
    plain = made(queue, None, name="plain")
    assert plain.new_job([1], {}).unique is None
    assert plain.new_job([1], {}, unique_key="k").unique == UniqueKey("k")
    assert plain.new_job([1], {}, unique=True).unique is not None
    with pytest.raises(ConfigurationError, match="leave one out"):
        plain.apply_async([1], unique_key="k", unique=False)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"scope": "for ever"}, "scope='for ever': use one of pending, running, window"),
        ({"on_conflict": "ignore"}, "on_conflict='ignore': use one of return, replace, reject"),
        ({"scope": "window"}, "a window is for scope='window', which needs one"),
        ({"window": 5}, "a window is for scope='window', which needs one"),
        ({"scope": "window", "window": 0}, "window=0: must be a number of seconds above 0"),
        ({"scope": "window", "window": float("nan")}, "window=nan"),
        ({"scope": "window", "window": float("inf")}, "window=inf"),
        ({"scope": "window", "window": "5"}, "window='5'"),
        ({"key": ""}, "key='': must be a function"),
        ({"key": []}, r"key=\[\]: must be a function"),
        ({"key": ["a", 1]}, "or a list of names"),
        ({"key": 7}, "key=7: must be a function"),
    ],
)
def test_a_uniqueness_that_makes_no_sense_is_refused(wrong: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Unique(**wrong)


@pytest.mark.parametrize("wrong", ["", 7, b"k", ("k",)])
def test_a_unique_key_is_a_text(queue: Queue, wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"unique_key=.*must be a name"):
        made(queue, None).apply_async([1], unique_key=wrong)


def test_a_conflict_is_dealt_with_as_was_said(queue: Queue) -> None:
    task = made(queue, None)
    first = task.apply_async([1], unique_key="k")
    assert task.apply_async([2], unique_key="k").id == first.id
    with pytest.raises(DuplicateJob, match="'k'") as caught:
        task.apply_async([3], unique_key="k", unique=Unique(on_conflict="reject"))
    assert (caught.value.key, caught.value.job_id) == ("k", first.id)
    new = task.apply_async([4], unique_key="k", unique=Unique(on_conflict="replace"))
    assert new.id != first.id
    assert (first.refresh().status, new.refresh().status) == ("cancelled", "pending")
    assert queue.stats()["pending"] == 1


async def test_a_duplicate_reaches_every_caller_typed(queue: Queue) -> None:
    task = made(queue, Unique(key="user", on_conflict="reject"))
    await task.adelay(1)
    for call in (
        task.adelay(1),
        task.aapply_async([1]),
        task.amap([(1,)]),
        queue.aenqueue("made", 1),
        queue.aenqueue_many("made", [(1,)]),
        task.s(1).adelay(),
    ):
        with pytest.raises(DuplicateJob):
            await call
    with pytest.raises(DuplicateJob):
        task.delay(1)


def test_a_key_inside_one_batch_resolves_the_same_way(queue: Queue) -> None:
    task = made(queue, unique=True)
    first, again, other = task.map([(1,), (1,), (2,)])
    assert first.id == again.id != other.id
    replacing = Unique(key="user", on_conflict="replace")
    old, new = made(queue, replacing, name="replacing").map([(1, "old"), (1, "new")])
    assert old.id != new.id
    assert (old.refresh().status, new.refresh().status) == ("cancelled", "pending")
    rejecting = made(queue, Unique(key="user", on_conflict="reject"), name="rejecting")
    before = queue.stats()
    with pytest.raises(DuplicateJob):
        rejecting.map([(1,), (2,), (1,)])
    assert queue.stats() == before


def test_each_job_of_a_batch_may_have_a_key_of_its_own(queue: Queue) -> None:
    made(queue, None)
    jobs = queue.enqueue_many("made", [(1,), (2,), (3,)], unique_keys=["a", "b", "a"])
    assert jobs[0].id == jobs[2].id != jobs[1].id


async def test_a_scope_ends_when_it_should(queue: Queue) -> None:
    gate = asyncio.Event()

    @queue.task(name="waiting")
    async def waiting() -> None:
        await gate.wait()

    kept = Unique(scope="pending")
    async with working(queue):
        running = await waiting.aapply_async(unique_key="until claimed", unique=kept)
        held = await waiting.aapply_async(unique_key="until ended")
        for job in (running, held):
            await reached(queue, job.id, "running")
        next_one = await waiting.aapply_async(
            unique_key="until claimed", unique=kept, queue="nobody", delay=3600
        )
        assert next_one.id != running.id
        assert (await waiting.aapply_async(unique_key="until ended")).id == held.id
        gate.set()
        await held.aresult(timeout=30)
        await running.aresult(timeout=30)
        assert (await waiting.aapply_async(unique_key="until ended", delay=60)).id != held.id
        window = Unique(scope="window", window=3600)
        first = await waiting.aapply_async(unique_key="for an hour", unique=window)
        await first.aresult(timeout=30)
        again = await waiting.aapply_async(unique_key="for an hour", unique=window)
        assert again.id == first.id


def test_limits_are_shared_by_key(queue: Queue) -> None:
    @queue.task(name="plain", rate_limit="10/s", max_concurrency=2)
    def plain(user: str) -> None: ...

    @queue.task(name="by name", rate_limit="60/m", limit_key="user")
    def by_name(user: str, text: str = "") -> None: ...

    @queue.task(name="told", max_concurrency=1, limit_key=lambda user, **_: len(user))
    def told(user: str, text: str = "") -> None: ...

    lane = plain.new_job(["a"], {}).lane
    assert lane is not None
    assert (lane.name, lane.interval, lane.max_running) == ("plain", 0.1, 2)
    one, two, three = [by_name.new_job(["a", "x"], {}).lane, *(
        by_name.new_job([], {"user": user}).lane for user in "ab"
    )]  # fmt: skip
    assert one is not None
    assert two is not None
    assert three is not None
    assert one == two
    assert (one.name, one.interval, one.max_running) == ('by name:"a"', 1.0, None)
    assert three.name == 'by name:"b"'
    lane = told.new_job(["abc"], {}).lane
    assert lane is not None
    assert (lane.name, lane.max_running) == ("told:3", 1)
    names = {by_name.new_job(["x" * 1000 + end], {}).lane for end in "ab"}
    assert len(names) == 2
    assert all(lane is not None and len(lane.name) < 150 for lane in names)


@pytest.mark.parametrize(
    "options",
    [
        {"unique": True},
        {"unique": Unique(key="x")},
        {"unique": Unique(key=lambda **_: "k")},
        {"max_concurrency": 1, "limit_key": "x"},
        {"max_concurrency": 1, "limit_key": lambda **_: "k"},
    ],
)
def test_a_key_cannot_be_made_of_what_is_not_there_yet(
    queue: Queue, options: dict[str, Any]
) -> None:
    def function(x: int, y: int = 0) -> int:
        return x + y

    work = queue.task(**options)(function)
    with pytest.raises(ConfigurationError, match=r"comes from the job before.*use \.si\(\)"):
        chain(work.si(1).set(unique=False), work.s()).delay()
    assert queue.list_jobs() == []
    assert chain(work.si(1).set(unique=False), work.si(1)).delay().blocked_by == 1


def test_a_key_of_what_is_there_is_fine_after_another(queue: Queue) -> None:
    @queue.task(unique=Unique(key="y", on_conflict="reject"))
    def work(x: int, y: int = 0) -> int:
        return x + y

    chain(work.si(1), work.s(5)).delay()
    with pytest.raises(DuplicateJob):
        work.delay(9, 5)
    work.delay(9, 6)
