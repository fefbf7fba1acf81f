"""Which thread writes, and what an interrupt or a call amid a write leaves behind."""

import fcntl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from offload.core.errors import StoreUnavailable
from offload.store.loop import IOLoop
from offload.store.sqlite import connection
from offload.store.sqlite.ticket import Ticket
from offload.store.sqlite.writer import Operation, Transaction, Writer
from offload.testing.conformance.steps import PATIENCE

MARK = "INSERT INTO paused_queues (name, paused_at) VALUES (?, 0)"
SEEN = "SELECT name FROM paused_queues ORDER BY name"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
def writer(path: Path) -> Iterator[Writer]:
    database = connection.connect(path, "FULL")
    connection.migrate(database)
    database.close()
    writer = Writer(path, "FULL", Ticket(path.with_name("ticket")), lambda _: None)
    writer.start()
    yield writer
    writer.stop()


def written(writer: Writer, operation: Operation) -> Any:
    """What an operation returns to a caller whose thread waits for it."""
    return IOLoop().drive(writer.submit(operation))


def marking(name: str) -> Operation:
    return lambda tx: tx.execute(MARK, (name,))


def names(writer: Writer) -> list[str]:
    return [name for (name,) in written(writer, lambda tx: tx.execute(SEEN))]


def test_a_caller_that_waits_writes_on_its_own_thread(writer: Writer) -> None:
    assert written(writer, lambda _: threading.get_ident()) == threading.get_ident()


async def test_a_loop_is_not_held_up_by_the_disk(writer: Writer) -> None:
    assert await writer.submit(lambda _: threading.get_ident()) != threading.get_ident()


def test_a_caller_that_comes_amid_a_write_shares_the_next_commit(writer: Writer) -> None:
    busy, go_on = threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        busy.set()
        go_on.wait()

    def late(_: Transaction) -> int:
        return threading.get_ident()

    writer.post(hold)
    busy.wait()
    threads: list[int] = []
    callers = [
        threading.Thread(target=lambda: threads.append(written(writer, late))) for _ in range(3)
    ]
    for caller in callers:
        caller.start()
    go_on.set()
    for caller in callers:
        caller.join()
    assert len(threads) == 3
    assert names(writer) == []


def test_many_threads_lose_nothing(writer: Writer) -> None:
    def mark(first: int) -> None:
        for number in range(first, first + 50):
            written(writer, marking(f"{number:03}"))

    callers = [threading.Thread(target=mark, args=(first,)) for first in range(0, 400, 50)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert names(writer) == [f"{number:03}" for number in range(400)]


def test_an_interrupted_write_leaves_nothing_behind(writer: Writer) -> None:
    def interrupted(tx: Transaction) -> None:
        tx.execute(MARK, ("half",))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        written(writer, interrupted)
    written(writer, marking("next"))
    assert names(writer) == ["next"]


def test_a_call_amid_a_write_of_its_own_thread_says_so(writer: Writer) -> None:
    """As from a signal handler; waiting for its turn, it would wait for itself."""

    def handler(_: Transaction) -> None:
        written(writer, marking("inner"))

    with pytest.raises(StoreUnavailable, match="while this very thread writes"):
        written(writer, handler)
    assert names(writer) == []


def test_a_closed_store_says_so(writer: Writer) -> None:
    writer.stop()
    try:
        with pytest.raises(StoreUnavailable, match="closed"):
            written(writer, marking("late"))
    finally:
        writer.stop = lambda: None  # type: ignore[method-assign]


class Interrupted(threading.Event):
    """Ctrl-C comes while somebody waits for it, at once or when it has just been set."""

    def __init__(self, setting: Callable[[], None] | None) -> None:
        super().__init__()
        self._setting = setting

    def wait(self, timeout: float | None = None) -> bool:
        if self._setting is not None:
            self._setting()
            assert super().wait(timeout)
        raise KeyboardInterrupt


@pytest.mark.parametrize("granted", [False, True])
def test_a_turn_that_nobody_waits_for_any_more_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, granted: bool
) -> None:
    holder, waiter = (Ticket(tmp_path / "ticket") for _ in range(2))
    holder.__enter__()

    def let_go() -> None:
        holder.__exit__(None, None, None)

    monkeypatch.setattr(waiter, "_granted", Interrupted(let_go if granted else None))
    with pytest.raises(KeyboardInterrupt):
        waiter.__enter__()
    if not granted:
        let_go()
    with (tmp_path / "ticket").open() as file:
        next_one = threading.Thread(target=fcntl.flock, args=(file, fcntl.LOCK_EX), daemon=True)
        next_one.start()
        next_one.join(PATIENCE)
        assert not next_one.is_alive()
