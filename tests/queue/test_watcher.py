"""What an enqueue has answered saves a look, unless something may have changed since."""

from collections.abc import Sequence

import pytest

from offload import Queue
from offload.client import watcher as watchers
from offload.client.watcher import Watcher
from offload.core.job import Job
from offload.core.states import State
from offload.store.base import Channel
from offload.store.loop import IOLoop
from offload.store.memory import MemoryStore
from offload.testing.conformance.steps import new, take


class Looks(MemoryStore):
    """A store that counts how often jobs are read."""

    count = 0

    async def get(self, job_ids: Sequence[str]) -> list[Job | None]:
        self.count += 1
        return await super().get(job_ids)


@pytest.fixture
async def store() -> Looks:
    store = Looks()
    await store.open()
    return store


@pytest.fixture
def watcher(store: Looks) -> Watcher:
    return Watcher(store)


async def enqueued(store: Looks, watcher: Watcher) -> Job:
    cursor = store.cursor(Channel.CHANGED)
    [job] = await store.enqueue([new("a")])
    watcher.note(job, cursor)
    return job


async def seen(watcher: Watcher, job_id: str) -> Job | None:
    subscription = await watcher.subscribe(job_id)
    try:
        return await subscription.next()
    finally:
        watcher.unsubscribe(subscription)


async def test_a_job_that_was_just_enqueued_is_not_read(store: Looks, watcher: Watcher) -> None:
    job = await enqueued(store, watcher)
    assert await seen(watcher, "a") is job
    assert store.count == 0


async def test_a_change_since_is_seen(store: Looks, watcher: Watcher) -> None:
    await enqueued(store, watcher)
    await take(store)
    job = await seen(watcher, "a")
    assert job is not None
    assert job.state is State.RUNNING


async def test_a_change_after_is_seen(store: Looks, watcher: Watcher) -> None:
    await enqueued(store, watcher)
    subscription = await watcher.subscribe("a")
    await subscription.next()
    await take(store)
    job = await subscription.next()
    assert job is not None
    assert job.state is State.RUNNING
    watcher.unsubscribe(subscription)


async def test_another_job_is_read(store: Looks, watcher: Watcher) -> None:
    await enqueued(store, watcher)
    await store.enqueue([new("b")])
    job = await seen(watcher, "b")
    assert job is not None
    assert job.id == "b"


async def test_what_is_old_is_read(
    store: Looks, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchers, "FRESH", 0.0)
    await enqueued(store, watcher)
    assert await seen(watcher, "a") is not None
    assert store.count == 1


def test_who_waits_for_what_it_enqueued_does_not_look_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watchers, "FRESH", 60.0)
    queue = Queue("memory://")
    store = Looks()
    queue._client.connect(store, IOLoop())  # noqa: SLF001 - a store that counts

    @queue.task
    def work() -> None: ...

    job = work.delay()
    with pytest.raises(TimeoutError):
        job.result(timeout=0.01)
    assert store.count == 0
    with pytest.raises(TimeoutError):
        job.result(timeout=0)  # that is to look
    assert store.count == 1
    queue.close()
