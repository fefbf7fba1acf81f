"""What lies between the processes of a run and its server, and how both are hurt."""

import asyncio
import signal
from contextlib import suppress
from random import Random

from tests.kill.places import Place, Server
from tests.servers.proxy import Proxy

CUTS = ("freeze", "reset", "half-close", "lose")
DOWN = 0.5
"""Most seconds that a killed server stays away; then it has to start."""
LOST = 2.0
"""Seconds to wait for a reply that can be lost."""
PRODUCERS = -1
"""The number of the link that all producers share; those of workers count from 0."""


class Links:
    """A proxy for each worker, and one for the producers. A file has none."""

    def __init__(self, place: Place, rng: Random) -> None:
        """Lead to this place."""
        self._place = place
        self._rng = rng
        self._proxies: dict[int, tuple[Proxy, int]] = {}

    async def open(self, workers: int) -> None:
        """Begin to pass on."""
        if self._place.server is not None:
            for number in (PRODUCERS, *range(workers)):
                proxy = Proxy("127.0.0.1", self._place.server.port)
                self._proxies[number] = (proxy, await proxy.start())

    async def close(self) -> None:
        """Cut all."""
        for proxy, _ in self._proxies.values():
            await proxy.stop()

    def url(self, number: int) -> str:
        """Return the queue's URL for who has the link of this number."""
        return self._place.url(self._proxies[number][1] if self._proxies else None)

    async def cut(self, how: str, number: int, seconds: float) -> None:
        """Do one of `CUTS`; a link that is frozen stays so for so many seconds."""
        proxy, _ = self._proxies[number]
        match how:
            case "freeze":
                proxy.freeze()
                await asyncio.sleep(seconds)
                proxy.thaw()
            case "reset":
                proxy.reset()
            case "half-close":
                proxy.half_close()
            case "lose":
                proxy.lost.clear()
                proxy.lose_reply(after=self._rng.randrange(4))
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOST):
                        await proxy.lost.wait()

    async def outage(self, how: str, seconds: float) -> None:
        """Kill the server and start it again, or stop it for so many seconds."""
        server = self._server
        if how == "kill":
            await asyncio.to_thread(server.stop, signal.SIGKILL)
            await asyncio.sleep(self._rng.uniform(0, DOWN))
            await asyncio.to_thread(server.start)
        else:
            server.signal(signal.SIGSTOP)
            await asyncio.sleep(seconds)
            server.signal(signal.SIGCONT)

    @property
    def _server(self) -> Server:
        assert self._place.server is not None
        return self._place.server
