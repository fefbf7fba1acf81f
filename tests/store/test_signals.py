"""Wake-ups inside one process."""

import asyncio

import pytest

from offload.store.base import Channel
from offload.store.signals import Signals
from offload.testing.conformance.steps import FAR, soon


@pytest.mark.parametrize("channel", Channel)
async def test_news_since_the_cursor_let_a_wait_return_at_once(channel: Channel) -> None:
    signals = Signals()
    cursor = signals.cursor(channel)
    signals.notify(channel)
    await soon(signals.wait(channel, cursor, FAR))


async def test_each_channel_has_its_own_waiters() -> None:
    signals = Signals()
    waits = {
        channel: asyncio.create_task(signals.wait(channel, signals.cursor(channel), FAR))
        for channel in Channel
    }
    await asyncio.sleep(0)
    signals.notify(Channel.READY)
    await soon(waits[Channel.READY])
    assert not waits[Channel.CHANGED].done()
    assert not waits[Channel.CONTROL].done()
    for channel in Channel:
        signals.notify(channel)
    await soon(asyncio.gather(*waits.values()))


async def test_waits_leave_nothing_behind() -> None:
    signals = Signals()
    cursor = signals.cursor(Channel.READY)
    gives_up = asyncio.create_task(signals.wait(Channel.READY, cursor, FAR))
    await signals.wait(Channel.READY, cursor, 0.0)
    gives_up.cancel()
    await asyncio.gather(gives_up, return_exceptions=True)
    assert gives_up.cancelled()
    assert not any(signals._waiting.values())  # noqa: SLF001
