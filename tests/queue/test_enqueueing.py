"""What can be said of a call beside its options: when, after what, under which id."""

import asyncio
from typing import Any

import pytest

from offload import (
    ArgumentError,
    ConfigurationError,
    DependencyError,
    JobCancelled,
    PayloadError,
    Queue,
    TaskNotRegistered,
)
from tests.worker.staging import working


@pytest.fixture
def work(queue: Queue) -> Any:
    @queue.task(name="work", max_retries=0)
    async def work(error: str = "") -> str:
        if error:
            raise ValueError(error)
        return "done"

    return work


# ------------------------------------------------------------------------------ dependencies


def test_a_job_may_be_named_as_job_handle_or_id(work: Any) -> None:
    one, two = work.delay(), work.delay()
    for parents, ids in [
        (one, [one.id]),
        (one.job, [one.id]),
        (one.id, [one.id]),
        ([one, two.id], [one.id, two.id]),
        ((two.job, one), [two.id, one.id]),
        ([one, one.id, one.job], [one.id]),
        ({one.id: "any iterable"}, [one.id]),
        ([], []),
        (None, []),
    ]:
        job = work.apply_async(depends_on=parents)
        assert job.blocked_by == len(ids)
        assert job.family().parents == ids
    assert len(one.family().dependents) == 7
    assert one.family().parents == []


@pytest.mark.parametrize("wrong", [7, [7], [None], "", [""], b"id", [b"id"], object()])
def test_what_is_no_job_is_refused(work: Any, wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"depends_on=.*a job, a handle, an id, or a list"):
        work.apply_async(depends_on=wrong)


async def test_an_unknown_parent_reaches_every_caller_typed(queue: Queue, work: Any) -> None:
    for call in (
        work.aapply_async(depends_on="nobody"),
        work.amap([()], depends_on=["nobody"]),
        queue.aenqueue_many("work", [()], depends_on="nobody"),
        work.s().set(depends_on="nobody").adelay(),
    ):
        with pytest.raises(DependencyError, match="nobody"):
            await call
    with pytest.raises(DependencyError, match="nobody"):
        work.apply_async(depends_on="nobody")
    assert queue.list_jobs() == []


async def test_a_dependent_waits_for_all_its_parents(queue: Queue, work: Any) -> None:
    parents = work.map([(), ()])
    child = await work.aapply_async(depends_on=parents)
    assert (child.status, child.blocked_by) == ("pending", 2)
    async with working(queue):
        assert await child.aresult(timeout=30) == "done"
    assert child.blocked_by == 0
    for parent in parents:
        assert (await parent.arefresh()).finished_at <= child.started_at


async def test_a_parent_that_fails_cancels_what_follows_or_not(queue: Queue, work: Any) -> None:
    bad = await work.adelay("boom")
    cancelled = await work.aapply_async(depends_on=bad)
    after = await work.aapply_async(depends_on=cancelled)
    runs = await work.aapply_async(depends_on=bad, on_parent_failure="run")
    async with working(queue):
        assert await runs.aresult(timeout=30) == "done"
        for job, parent, state in [(cancelled, bad, "dead"), (after, cancelled, "cancelled")]:
            with pytest.raises(JobCancelled, match=f"dependency {parent.id} {state}"):
                await job.aresult(timeout=30)


def test_jobs_of_a_batch_may_share_a_parent(work: Any) -> None:
    parent = work.delay()
    children = work.map([(), ()], depends_on=parent)
    assert [child.blocked_by for child in children] == [1, 1]
    assert parent.family().dependents == [child.id for child in children]


# ------------------------------------------------------------------------------ many at once


def test_each_of_many_may_have_its_own(queue: Queue, work: Any) -> None:
    one, two = queue.enqueue_many(
        "work",
        [(), ("a",)],
        delay_list=[0, 60],
        metadata_list=[{"n": 1}, None],
        expires_list=[None, 5],
        result_ttl_list=[7, None],
        priority=3,
        result_ttl=9,
    )
    assert (one.run_at, two.run_at) == (one.created_at, two.created_at + 60_000)
    assert (one.metadata, two.metadata) == ({"n": 1}, None)
    assert (one.job.expires_at, two.job.expires_at) == (None, two.created_at + 5000)
    assert (one.job.result_ttl, two.job.result_ttl) == (7, None)
    assert (one.job.priority, two.job.priority) == (3, 3)


LISTS = ["kwargs_list", "delay_list", "unique_keys", "metadata_list", "expires_list"]


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_another_length_are_refused(queue: Queue, work: Any, name: str) -> None:
    wrong: list[Any]
    for wrong in ([], [None]):
        said: dict[str, Any] = {name: wrong}
        with pytest.raises(
            ConfigurationError, match=f"args_list has 2 entries, {name} {len(wrong)}"
        ):
            queue.enqueue_many("work", [(), ()], **said)
    assert queue.list_jobs() == []


def test_an_entry_that_is_no_tuple_is_named(queue: Queue, work: Any) -> None:
    for wrong in ("ab", 7, None, {"error": "x"}):
        with pytest.raises(ArgumentError, match=r"entry 1 is .* must be a tuple of arguments"):
            queue.enqueue_many("work", [(), wrong])  # type: ignore[list-item]


def test_one_id_for_many_is_refused(queue: Queue, work: Any) -> None:
    for call in (
        lambda: work.map([(), ()], job_id="x"),
        lambda: queue.enqueue_many("work", [(), ()], job_id="x"),  # type: ignore[call-arg]
    ):
        with pytest.raises(ConfigurationError, match=r"job_id.*each job has its own"):
            call()
    assert queue.list_jobs() == []


async def test_an_unknown_name_is_refused_by_both_twins(queue: Queue) -> None:
    with pytest.raises(TaskNotRegistered):
        queue.enqueue_many("nobody", [()])
    with pytest.raises(TaskNotRegistered):
        await queue.aenqueue_many("nobody", [()])
    with pytest.raises(TaskNotRegistered):
        await queue.aenqueue("nobody")


def test_arguments_may_have_the_names_of_our_own_parameters(queue: Queue) -> None:
    @queue.task(name="odd")
    def odd(self: int, task_name: int, method: int) -> None: ...

    assert odd.delay(self=1, task_name=2, method=3).job.payload == (
        b'[[],{"self":1,"task_name":2,"method":3}]'
    )
    assert queue.enqueue("odd", self=1, task_name=2, method=3).status == "pending"
    assert odd.s(self=1, task_name=2, method=3).delay().status == "pending"


# ---------------------------------------------------------------------------- ids, words, data


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"job_id": ""}, "job_id='': must be a name"),
        ({"job_id": 7}, "job_id=7"),
        ({"job_id": "a\ud800"}, "job_id=.*valid text"),
        ({"job_id": "a\0"}, "job_id=.*valid text"),
        ({"unique_key": "\ud800"}, "unique_key=.*valid text"),
        ({"tags": "red"}, "tags='red': must be a list of names"),
        ({"tags": [1]}, r"tags=\[1\]"),
        ({"tags": [""]}, "tags="),
        ({"tags": ["a", "\ud800"]}, "tags="),
        ({"tags": {"a": 1}}, "tags="),
    ],
)
def test_wrong_ids_and_words_are_refused(work: Any, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        work.apply_async(**wrong)


@pytest.mark.parametrize("wrong", [{"x": float("nan")}, {"x": {1, 2}}, {"x": "\ud800"}, [1]])
def test_wrong_metadata_is_refused(work: Any, wrong: Any) -> None:
    with pytest.raises(PayloadError, match=r"metadata is not plain JSON"):
        work.apply_async(metadata=wrong)


async def test_a_repeated_call_with_one_id_is_one_job(queue: Queue, work: Any) -> None:
    jobs = await asyncio.gather(*(work.aapply_async(job_id="mine") for _ in range(20)))
    assert {job.id for job in jobs} == {"mine"}
    assert queue.stats()["pending"] == 1
