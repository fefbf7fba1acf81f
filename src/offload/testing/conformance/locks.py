"""A lock has one holder at a time, and each holder a higher token than the one before."""

import asyncio

from offload.store.base import Store
from offload.testing.clock import ManualClock

HOUR = 3600.0


class Locking:
    """What `acquire` and `release` owe."""

    async def test_one_holds_it_at_a_time(self, store: Store) -> None:
        """Others are refused until it is let go; locks of other names are other locks."""
        token = await store.acquire("l", "me", 30)
        assert token is not None
        assert await store.acquire("l", "you", 30) is None
        assert await store.acquire("m", "you", 30) is not None
        assert await store.release("l", "me")
        yours = await store.acquire("l", "you", 30)
        assert yours is not None
        assert yours > token
        assert await store.acquire("l", "me", 30) is None

    async def test_the_holder_may_extend_it(self, store: Store, clock: ManualClock) -> None:
        """Under the same token, from now on for as long as it says."""
        token = await store.acquire("l", "me", 30)
        for _ in range(5):
            clock.advance(20)
            assert await store.acquire("l", "me", 30) == token
        clock.advance(29)
        assert await store.acquire("l", "you", 30) is None
        assert await store.acquire("l", "me", 1) == token
        clock.advance(2)
        assert await store.acquire("l", "you", 30) is not None

    async def test_it_is_free_after_its_time(self, store: Store, clock: ManualClock) -> None:
        """For anybody, under a higher token; who held it has nothing left to let go of."""
        token = await store.acquire("l", "me", 30)
        assert token is not None
        clock.advance(31)
        yours = await store.acquire("l", "you", 30)
        assert yours is not None
        assert yours > token
        assert not await store.release("l", "me")
        assert await store.acquire("l", "me", 30) is None

    async def test_who_comes_back_too_late_is_a_new_holder(
        self, store: Store, clock: ManualClock
    ) -> None:
        """It cannot know whether somebody held it in between."""
        tokens = [await store.acquire("l", "me", 30)]
        clock.advance(31)
        assert not await store.release("l", "me")
        tokens.append(await store.acquire("l", "me", 30))
        assert await store.release("l", "me")
        tokens.append(await store.acquire("l", "me", 30))
        numbers = [token for token in tokens if token is not None]
        assert len(numbers) == 3
        assert numbers == sorted(set(numbers))

    async def test_only_its_holder_lets_go_of_it(self, store: Store) -> None:
        """And once; an unknown lock is held by nobody."""
        assert not await store.release("l", "me")
        await store.acquire("l", "me", 30)
        assert not await store.release("l", "you")
        assert await store.acquire("l", "you", 30) is None
        assert await store.release("l", "me")
        assert not await store.release("l", "me")

    async def test_it_is_not_judged_by_the_wall_clock(
        self, store: Store, clock: ManualClock
    ) -> None:
        """Whether somebody sets it an hour forward or back."""
        token = await store.acquire("l", "me", 30)
        for hours in (1, -2, 1):
            clock.jump(hours * HOUR)
            assert await store.acquire("l", "you", 30) is None
            assert await store.acquire("l", "me", 30) == token
        clock.jump(-HOUR)
        clock.advance(31)
        assert await store.acquire("l", "you", 30) is not None

    async def test_no_holder_survives_a_reboot(self, store: Store, clock: ManualClock) -> None:
        """Its process is gone with the machine, however long the lock was taken for."""
        token = await store.acquire("l", "me", HOUR)
        assert token is not None
        clock.reboot()
        assert not await store.release("l", "me")
        yours = await store.acquire("l", "you", 30)
        assert yours is not None
        assert yours > token

    async def test_of_racers_one_gets_it(self, store: Store) -> None:
        """However many try at once."""
        answers = await asyncio.gather(*(store.acquire("l", f"o{n}", 30) for n in range(32)))
        assert len([token for token in answers if token is not None]) == 1
