"""Asks one address over and over: `python -m bench.load PORT PATH COUNT CONNECTIONS`.

Prints the seconds. A client that parses what it gets costs more than the server that it measures;
this one learns from its first answer how long they are, and then counts bytes.
"""

import asyncio
import sys
import time


class Connection(asyncio.Protocol):
    """Sends the next request when the answer to the last one is complete."""

    def __init__(self, path: str, count: int, done: "asyncio.Future[None]") -> None:
        """Send `count` requests, then say `done`."""
        self._request = f"GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n".encode()
        self._left = count
        self._done = done
        self._got = b""
        self._length = 0
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Count what has come."""
        if self._length:
            assert self._missing < self._length or data.startswith(b"HTTP/1.1 200 "), data
            self._missing -= len(data)
        else:
            self._learn(data)
        if self._length and self._missing <= 0:
            assert self._missing == 0, "answers differ in length"
            self._next()

    def connection_lost(self, error: Exception | None) -> None:
        """Fail, if it was not the end."""
        if not self._done.done():
            self._done.set_exception(error or ConnectionResetError("the server hung up"))

    def _learn(self, data: bytes) -> None:
        self._got += data
        head, found, _ = self._got.partition(b"\r\n\r\n")
        if not found:
            return
        assert head.startswith(b"HTTP/1.1 200 "), head
        body = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        self._length = len(head) + len(found) + body
        self._missing = self._length - len(self._got)

    def _next(self) -> None:
        self._left -= 1
        if self._left:
            self._missing = self._length
            self._transport.write(self._request)
        else:
            self._done.set_result(None)
            self._transport.close()


async def ask(port: int, path: str, count: int, connections: int) -> float:
    """Return the seconds that `count` requests take, over so many connections at once."""
    loop = asyncio.get_running_loop()
    ends = [loop.create_future() for _ in range(connections)]
    shares = [count // connections + (n < count % connections) for n in range(connections)]
    began = time.perf_counter()
    for end, share in zip(ends, shares, strict=True):
        await loop.create_connection(
            lambda end=end, share=share: Connection(path, share, end),  # type: ignore[misc]
            "127.0.0.1",
            port,
        )
    await asyncio.gather(*ends)
    return time.perf_counter() - began


if __name__ == "__main__":
    print(asyncio.run(ask(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
