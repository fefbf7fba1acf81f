"""No power cut takes what was acknowledged; and the proof that this test could tell.

What a disk may have kept is said in `tests/power/disk.py`. The long run is `make evidence`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from offload.store.sqlite import store as store_module
from offload.store.sqlite.writer import Transaction, Writer
from tests.power.check import FILE, Verdict
from tests.power.history import record
from tests.power.log import Create, Log, Sync
from tests.power.run import EACH, Report, campaign

T = TypeVar("T")

SEED = 1


def told(report: Report) -> str:
    return "\n".join(map(str, report.findings[:5]))


# 2,000 images in all; each history is a test of its own, so that none takes long.
@pytest.mark.parametrize("history", range(4))
async def test_full_keeps_every_acknowledged_promise(history: int) -> None:
    numbers = range(history * EACH, (history + 1) * EACH)
    report = await campaign(SEED, numbers)
    assert not report.findings, told(report)
    assert report.images == EACH
    assert report.sync_points_cut == report.sync_points > 50
    assert min(report.fates.values()) > EACH / 20
    assert report.promises_checked > 1000


async def test_normal_loses_only_the_newest_commits() -> None:
    # A negative control as well: what NORMAL does not promise must be seen to be missing.
    report = await campaign(SEED, range(EACH // 3), recorder=partial(record, synchronous="NORMAL"))
    assert report.verdicts[Verdict.LOST] > 0
    assert report.verdicts[Verdict.BROKEN] == 0, told(report)


async def test_the_same_number_is_the_same_image() -> None:
    once, again, other = [await campaign(seed, range(0, 75, 5)) for seed in (7, 7, 8)]
    assert once.digest == again.digest != other.digest


class TestNegativeControls:
    """Faults that must be found, or the tests above mean nothing."""

    async def test_a_file_that_is_never_synced_breaks(self) -> None:
        async def lying(seed: str, folder: Path) -> Log:
            log = await record(seed, folder)
            main = {e.file for e in log.events if isinstance(e, Create) and e.name == FILE}
            unsynced = [e for e in log.events if not (isinstance(e, Sync) and e.file in main)]
            return replace(log, events=tuple(unsynced))

        report = await campaign(SEED, range(EACH // 3), recorder=lying)
        assert report.verdicts[Verdict.BROKEN] > 0
        assert any("integrity_check" in finding.problem for finding in report.findings)

    async def test_a_store_that_answers_before_it_commits_is_caught(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def hasty(seed: str, folder: Path) -> Log:
            with monkeypatch.context() as patch:
                patch.setattr(store_module, "Writer", HastyWriter)
                return await record(seed, folder)

        report = await campaign(SEED, range(EACH // 3), recorder=hasty)
        assert report.verdicts[Verdict.LOST] > 0
        assert report.verdicts[Verdict.BROKEN] == 0, told(report)

    async def test_a_start_that_must_not_be_forgotten_and_is_breaks(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Transaction, "must_last", lambda _: None)
        report = await campaign(SEED, range(EACH // 3))
        assert report.verdicts[Verdict.LOST] > 0
        assert report.verdicts[Verdict.BROKEN] == 0, told(report)


class HastyWriter(Writer):
    """Answers when an operation has run, and commits only once that was heard."""

    async def submit(
        self, operation: Callable[[Transaction], T], *, may_be_lost: bool = False
    ) -> T:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        async def tell(result: T) -> None:
            answer.set_result(result)
            await asyncio.sleep(0)

        def hasty(transaction: Transaction) -> None:
            result = operation(transaction)
            asyncio.run_coroutine_threadsafe(tell(result), loop).result()

        # Nobody waits for that: this is the fault.
        self._put(hasty, loop.create_future(), may_be_lost=may_be_lost)
        return await answer
