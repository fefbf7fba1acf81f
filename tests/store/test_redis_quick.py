"""Plain jobs go the quick way; the conformance suite and the model say that it ends at the same."""

from typing import Any

import pytest

from offload.core.lane import Lane
from offload.core.states import Move
from offload.store.redis import RedisStore
from offload.store.redis.scripts import script
from offload.testing.conformance.steps import end, new, take
from tests.servers.valkey import ValkeyServer, ask


def calls(server: ValkeyServer, command: str) -> int:
    info = ask(server.port, "INFO", "commandstats")
    assert isinstance(info, bytes)
    lines = [line for line in info.decode().splitlines() if line.startswith(f"cmdstat_{command}:")]
    return sum(int(line.partition("calls=")[2].partition(",")[0]) for line in lines)


def knows(server: ValkeyServer, name: str) -> bool:
    return ask(server.port, "SCRIPT", "EXISTS", script(name).digest) == [1]


async def test_plain_jobs_go_the_quick_way(store: RedisStore, server: ValkeyServer) -> None:
    await store.enqueue([new("a")])
    jobs = await take(store, 2)
    # The long way takes jobs out of their line by name, and sets a row of numbers field by field.
    assert calls(server, "zremrangebyrank") == 1
    assert not knows(server, "enqueue")
    assert await end(store, jobs[0], Move.COMPLETE)


async def test_one_job_that_needs_more_takes_all_with_it(
    store: RedisStore, server: ValkeyServer
) -> None:
    await store.enqueue([new("a")])
    await store.enqueue([new("b", lane=Lane("narrow", max_running=1))])
    assert len(await take(store, 2)) == 2
    assert calls(server, "zremrangebyrank") == 0
    assert knows(server, "enqueue")


@pytest.mark.parametrize("options", [{}, {"lane": Lane("narrow")}])
async def test_that_a_task_returned_nothing_is_known_without_being_kept(
    store: RedisStore, server: ValkeyServer, options: dict[str, Any]
) -> None:
    """Whichever way its end took; what others have returned is kept."""
    await store.enqueue([new("a", **options)])
    await store.enqueue([new("b", **options)])
    for result in (b"null", b"1"):
        [job] = await take(store, 1)
        assert await end(store, job, Move.COMPLETE, result=result)
    found = await store.get(["a", "b"])
    assert [job and job.result for job in found] == [b"null", b"1"]
    assert ask(server.port, "HKEYS", store.address.root + "result") == [b"b"]
