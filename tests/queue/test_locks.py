"""One holder at a time, over all processes; who has lost the lock is told."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from offload import ConfigurationError, LockLost, Queue
from offload.client.locks import Lock, LockOptions
from offload.store.sqlite import SQLiteStore
from offload.testing import ManualClock
from tests.queue.holder import ROUNDS

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0


def holder(path: Path, what: str) -> "subprocess.Popen[str]":
    words = [sys.executable, "-m", "tests.queue.holder", str(path), str(path.parent), what]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_it_is_held_in_the_block_and_free_afterwards(queue: Queue) -> None:
    with queue.lock("l") as lock:
        assert not lock.lost
        lock.check()
        with pytest.raises(TimeoutError, match="'l' was still held"), queue.lock("l", timeout=0):
            pytest.fail("somebody else has it")
        with queue.lock("another", timeout=0):
            pass
    with queue.lock("l", timeout=0) as again:
        assert again.token > lock.token


def test_it_is_let_go_when_the_block_raises(queue: Queue) -> None:
    with pytest.raises(ZeroDivisionError), queue.lock("l"):
        _ = 1 / 0
    with queue.lock("l", timeout=0):
        pass


async def test_coroutines_take_turns(queue: Queue) -> None:
    inside, tokens = 0, []

    async def turn() -> None:
        nonlocal inside
        async with queue.alock("l") as lock:
            assert inside == 0
            inside += 1
            await queue.astats()
            tokens.append(lock.token)
            inside -= 1

    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(turn() for _ in range(20)))
    assert tokens == sorted(set(tokens))


async def test_whoever_waits_gets_it_when_it_is_let_go(queue: Queue) -> None:
    got = asyncio.Event()

    async def wait() -> None:
        async with queue.alock("l", timeout=PATIENCE):
            got.set()

    async with queue.alock("l"):
        waiting = asyncio.create_task(wait())
        with pytest.raises(TimeoutError, match=r"after 0\.05 s"):
            async with queue.alock("l", timeout=0.05):
                pytest.fail("somebody else has it")
        assert not got.is_set()
    async with asyncio.timeout(PATIENCE):
        await waiting


async def test_who_is_cancelled_while_waiting_leaves_nothing_behind(queue: Queue) -> None:
    async def wait() -> None:
        async with queue.alock("l"):
            await asyncio.Event().wait()

    async with queue.alock("l"):
        waiting = [asyncio.create_task(wait()) for _ in range(3)]
        await queue.astats()
        waiting[0].cancel()
    await queue.astats()
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    async with queue.alock("l", timeout=PATIENCE / 3):
        pass


def test_processes_exclude_each_other(path: Path) -> None:
    (path.parent / "number").write_text("0")
    with ExitStack() as stack:
        holders = [stack.enter_context(holder(path, "count")) for _ in range(4)]
        assert [each.wait(PATIENCE) for each in holders] == [0] * 4
    assert (path.parent / "number").read_text() == str(4 * ROUNDS)
    tokens = [int(line) for line in (path.parent / "tokens").read_text().split()]
    assert tokens == sorted(set(tokens)), "a later holder has a higher token"


def test_a_process_that_is_killed_frees_it_after_the_ttl(path: Path) -> None:
    queue = Queue(str(path))
    dying = holder(path, "die")
    assert dying.stdout is not None
    assert dying.stdout.readline() == "held\n"
    with pytest.raises(TimeoutError), queue.lock("l", timeout=0):
        pytest.fail("somebody else has it")
    dying.kill()
    dying.wait()
    with queue.lock("l", timeout=PATIENCE) as lock:
        assert lock.token == 2
    dying.stdout.close()
    queue.close()


@pytest.mark.parametrize(("what", "told"), [("busy", "kept"), ("frozen", "lost")])
def test_a_thread_that_computes_keeps_it_and_a_frozen_process_is_told(
    path: Path, what: str, told: str
) -> None:
    with holder(path, what) as process:
        out, _ = process.communicate(timeout=PATIENCE)
    assert out == f"{told}\n"
    assert (process.returncode == 0) == (told == "kept")


# --- by a clock that the test moves -----------------------------------------------------


async def held(path: Path, clock: ManualClock) -> tuple[Queue, Lock]:
    """Return a queue whose store goes by this clock, and a lock on it, not extended by itself."""
    queue = Queue(str(path))
    store = queue.store
    assert isinstance(store, SQLiteStore)
    store._clock = clock  # noqa: SLF001 - a queue has no option for it
    lock = Lock(LockOptions("l", 30.0, None, extend=False), queue._client)  # noqa: SLF001 - as above
    await lock.take()
    return queue, lock


async def extend(queue: Queue, lock: Lock) -> None:
    await queue._client.call_on_loop(lock.extend)  # noqa: SLF001 - the loop where it lives


async def test_it_is_held_for_as_long_as_it_is_extended(path: Path, clock: ManualClock) -> None:
    queue, lock = await held(path, clock)
    for _ in range(10):
        clock.advance(20)
        await extend(queue, lock)
        assert not lock.lost
        with pytest.raises(TimeoutError):
            async with queue.alock("l", timeout=0):
                pytest.fail("somebody else has it")
    await queue.aclose()


@pytest.mark.parametrize("other_came", [True, False])
async def test_an_extension_that_comes_too_late_says_that_it_is_lost(
    path: Path, clock: ManualClock, *, other_came: bool
) -> None:
    queue, lock = await held(path, clock)
    clock.advance(31)
    if other_came:
        async with queue.alock("l", timeout=0) as other:
            assert other.token > lock.token
            await extend(queue, lock)
            other.check()
    else:
        await extend(queue, lock)
    assert lock.lost
    with pytest.raises(LockLost, match="'l' was not extended within ttl=30 s"):
        lock.check()
    async with queue.alock("l", timeout=0):  # and it is not held by whoever lost it
        pass
    await queue.aclose()


def test_the_end_of_the_block_tells_that_it_was_lost(queue: Queue) -> None:
    with (
        pytest.raises(LockLost),
        queue.lock("l", ttl=1, extend=False) as lock,
        queue.lock("l", timeout=PATIENCE),  # waits until the first has run out
    ):
        assert lock.lost


def test_an_error_of_the_block_comes_before_the_loss(queue: Queue) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        queue.lock("l", ttl=1, extend=False),
        queue.lock("l", timeout=PATIENCE),
    ):
        _ = 1 / 0


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name=''"),
    ({"name": 5}, "name=5"),
    ({"ttl": 0.5}, "ttl=0.5"),
    ({"ttl": float("inf")}, "ttl=inf"),
    ({"timeout": -1}, "timeout=-1"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_wrong_options_are_named(queue: Queue, options: dict[str, Any], message: str) -> None:
    taking: Callable[..., Any] = queue.lock
    with pytest.raises(ConfigurationError, match=message), taking(**{"name": "l", **options}):
        pytest.fail("never held")
