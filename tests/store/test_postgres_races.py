"""Many processes on one schema: what only locks and fences keep apart."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import psycopg
import pytest

from offload.core.errors import ConfigurationError, StoreError
from offload.core.job import Inputs, OnParentFailure
from offload.core.lane import Lane
from offload.core.schedule import Fire, Schedule
from offload.core.states import Move, State
from offload.core.unique import OnConflict, UniqueKey
from offload.store.base import Store
from offload.store.postgres import PostgresStore
from offload.store.postgres.migrating import SCRIPTS
from offload.store.sql import scripts
from offload.testing.conformance.steps import end, ending, new, put, read, run, take

ROUNDS = 15
QUEUES = ("q0", "q1", "q2")


@pytest.fixture
async def stores(postgres_url: str) -> AsyncIterator[list[PostgresStore]]:
    """Six stores that open at the same moment, where nothing is yet."""
    async with AsyncExitStack() as kept:
        found = [PostgresStore(postgres_url) for _ in range(6)]
        for store in found:
            kept.push_async_callback(store.close)
        await asyncio.gather(*(store.open() for store in found))
        yield found


async def drain(store: Store, worker: str, taken: Counter[str]) -> None:
    """Claim and end jobs until there are none, each time a few."""
    while jobs := await take(store, 7, worker=worker):
        taken.update(job.id for job in jobs)
        assert all(await store.finish([ending(job, Move.COMPLETE) for job in jobs]))


async def test_each_job_is_given_once(stores: list[PostgresStore]) -> None:
    jobs = [new(f"j{n}", queue=QUEUES[n % 3], priority=n % 2) for n in range(600)]
    await stores[0].enqueue(jobs)
    taken = Counter[str]()
    await asyncio.gather(*(drain(store, f"w{n}", taken) for n, store in enumerate(stores)))
    assert len(taken) == taken.total() == 600
    assert (await stores[0].stats())[State.COMPLETE] == 600


async def test_a_lane_is_never_overrun(stores: list[PostgresStore]) -> None:
    lane = Lane("l", max_running=2)
    await put(stores[0], *(f"j{n}" for n in range(60)), lane=lane)
    running, most, over = 0, 0, 0

    async def work(store: Store, worker: str) -> None:
        nonlocal running, most, over
        while over < 60:
            jobs = await take(store, 5, worker=worker)
            running += len(jobs)
            most = max(most, running)
            for job in jobs:
                running -= 1
                assert await end(store, job, Move.COMPLETE)
                over += 1

    await asyncio.gather(*(work(store, f"w{n}") for n, store in enumerate(stores)))
    assert 0 < most <= 2


async def test_of_racers_for_a_key_one_is_stored(stores: list[PostgresStore]) -> None:
    for number in range(ROUNDS):
        keys = [UniqueKey(f"{number}-{each}") for each in range(3)]
        batches = [
            [new(f"{number}-{place}-{key.key}", unique=key) for key in (keys[place % 2 :] + keys)]
            for place in range(len(stores))
        ]
        answers = await asyncio.gather(
            *(store.enqueue(batch) for store, batch in zip(stores, batches, strict=True))
        )
        assert len({job.id for jobs in answers for job in jobs}) == 3


async def test_a_key_is_replaced_by_one_at_a_time(stores: list[PostgresStore]) -> None:
    """Also while a worker takes the holder: then that is the answer."""
    unique = UniqueKey("k", on_conflict=OnConflict.REPLACE)
    for number in range(ROUNDS):
        calls = [
            put(store, f"{number}-{place}", unique=unique) for place, store in enumerate(stores)
        ]
        jobs, *_ = await asyncio.gather(take(stores[0]), *calls)
        counts = await stores[1].stats()
        assert counts[State.PENDING] + counts[State.RUNNING] == 1
        for job in jobs or await take(stores[0]):
            assert await end(stores[0], job, Move.COMPLETE)


async def test_no_child_misses_the_end_of_its_parents(stores: list[PostgresStore]) -> None:
    """It is enqueued while they end, in processes of their own."""
    one, two, three = stores[:3]
    for number in range(ROUNDS):
        left, right = f"l{number}", f"r{number}"
        await put(one, left, right)
        ends = {job.id: job for job in await take(one, 2)}
        await asyncio.gather(
            end(one, ends[left], Move.COMPLETE, result=b"1"),
            end(two, ends[right], Move.COMPLETE, result=b"2"),
            put(three, f"c{number}", depends_on=(left, right), inputs=Inputs.LIST),
        )
        [child] = await take(one)
        assert (child.id, child.payload) == (f"c{number}", b"[[[1,2]],{}]")
        assert await end(one, child, Move.COMPLETE)


async def test_no_child_misses_that_its_parent_failed(stores: list[PostgresStore]) -> None:
    one, two, three = stores[:3]
    for number in range(ROUNDS):
        job = await run(one, f"p{number}")
        await asyncio.gather(
            end(one, job, Move.FAIL),
            put(two, f"a{number}", depends_on=(job.id,)),
            put(three, f"b{number}", depends_on=(job.id,), on_parent_failure=OnParentFailure.RUN),
        )
        assert (await read(one, f"a{number}")).state is State.CANCELLED
        [child] = await take(one)
        assert await end(one, child, Move.COMPLETE)


async def test_no_parent_is_purged_before_its_child_has_its_result(
    stores: list[PostgresStore],
) -> None:
    one, two, three = stores[:3]
    for number in range(ROUNDS):
        old, late = f"o{number}", f"t{number}"
        await put(one, old, result_ttl=0.0)
        [job] = await take(one)
        assert await end(one, job, Move.COMPLETE, result=b"7")
        running = await run(two, late)
        child, *_ = await asyncio.gather(
            put(two, f"c{number}", depends_on=(old, late), inputs=Inputs.FIRST),
            three.prune(),
            one.prune(),
            return_exceptions=True,
        )
        assert await end(one, running, Move.COMPLETE)
        if not isinstance(child, BaseException):
            [fed] = await take(one)
            assert fed.payload == b"[[7],{}]"
            assert await end(one, fed, Move.COMPLETE)


async def test_a_tick_fires_once(stores: list[PostgresStore]) -> None:
    await stores[0].put_schedules([Schedule("s", "app.tick", "every:60", next_at=0)])
    for tick in range(ROUNDS):
        fires = [
            store.fire([Fire("s", tick, tick + 1, (new(f"{tick}-{place}"),))])
            for place, store in enumerate(stores)
        ]
        answers = [answer for [answer] in await asyncio.gather(*fires)]
        assert len([answer for answer in answers if answer is not None]) == 1


async def test_a_lock_has_one_holder(stores: list[PostgresStore]) -> None:
    tokens = []
    for _ in range(ROUNDS):
        asked = [store.acquire("l", f"o{place}", 30) for place, store in enumerate(stores)]
        answers = await asyncio.gather(*asked)
        [token] = [token for token in answers if token is not None]
        assert await stores[0].release("l", f"o{answers.index(token)}")
        tokens.append(token)
    assert tokens == sorted(set(tokens))


async def test_a_role_that_may_only_use_tables_is_enough_once_they_are_there(
    postgres_url: str,
) -> None:
    owner = PostgresStore(postgres_url)
    await owner.open()
    await owner.close()
    schema, server = owner.address.schema, owner.address.conninfo
    grants = f"""
        CREATE ROLE {schema}_worker LOGIN;
        GRANT USAGE ON SCHEMA {schema} TO {schema}_worker;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {schema}_worker;
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {schema}_worker;
    """
    with psycopg.connect(server, autocommit=True) as operator:
        operator.execute(grants.encode())
        try:
            store = PostgresStore(postgres_url.replace("postgres@", f"{schema}_worker@"))
            await store.open()
            await store.enqueue([new(f"j{n}") for n in range(500)])
            [job] = await take(store)
            assert await end(store, job, Move.BURY)
            assert await store.retry_dead({job.id: "again"})
            await store.close()
            stranger = PostgresStore(store.address.url.replace(f"={schema}", "=offload_other"))
            with pytest.raises(StoreError, match="may not do that"):
                await stranger.open()
        finally:
            operator.execute(f"DROP OWNED BY {schema}_worker; DROP ROLE {schema}_worker".encode())


async def test_the_schema_of_a_newer_version_is_refused(postgres_url: str) -> None:
    store = PostgresStore(postgres_url)
    await store.open()
    await store.close()
    newest = scripts(SCRIPTS)[-1][0]
    with psycopg.connect(store.address.conninfo, autocommit=True) as operator:
        table = f"{store.address.quoted}.migrations"
        operator.execute(f"INSERT INTO {table} (number) VALUES ({newest + 1})".encode())
    with pytest.raises(ConfigurationError, match=rf"number {newest + 1}, .* upgrade offload"):
        await store.open()
