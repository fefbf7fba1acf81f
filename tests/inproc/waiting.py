"""Waits for what nobody tells of."""

import asyncio
from collections.abc import Callable


async def until(holds: Callable[[], object]) -> None:
    while not holds():  # noqa: ASYNC110 - that is what it is for
        await asyncio.sleep(0)
