"""The supervisor's end of the socket to a member: it sends and hears frames and never blocks."""

import asyncio
import socket
from collections.abc import Callable

from offload.worker.wire import CHUNK, HEAD, Frames, Kind, frame


class Link:
    """Lives on the control loop; what the socket does not take at once is sent when it does."""

    def __init__(
        self,
        sock: socket.socket,
        take: Callable[[int, int, bytes], None],
        heard: Callable[[], None],
        lost: Callable[[], None],
    ) -> None:
        """Call `take` with each frame, `heard` after those of one look, `lost` at the end."""
        sock.setblocking(False)  # noqa: FBT003 - not ours to name
        self._sock = sock
        self._take = take
        self._heard = heard
        self._lost = lost
        self._frames = Frames()
        self._unsent = bytearray()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock, self._listen)

    def send(self, kind: Kind, number: int, body: bytes = b"") -> None:
        """Send a frame, after those that still wait."""
        self._unsent += frame(kind, number, body)
        if len(self._unsent) == HEAD.size + len(body):  # else the loop is at it
            self._flush()

    def rest(self, seconds: float) -> None:
        """Hear nothing for a while: what comes in meanwhile is heard together."""
        self.pause()
        self._loop.call_later(seconds, self.go_on)

    def pause(self) -> None:
        """Hear nothing until told to go on."""
        self._loop.remove_reader(self._sock)

    def go_on(self) -> None:
        """Hear again, unless the link is closed."""
        if self._sock.fileno() >= 0:
            self._loop.add_reader(self._sock, self._listen)

    def hang_up(self) -> None:
        """Tell the other side that nothing more will come.

        Raises:
            OSError: it is gone already.
        """
        self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Hear what was said before the other side died, and no more."""
        while self._hear():
            pass
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()

    def _listen(self) -> None:
        if self._hear():
            self._heard()

    def _hear(self) -> bool:
        """Take what has arrived, and say whether there may be more."""
        try:
            data = self._sock.recv(CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._sock)
            self._lost()
            return False
        for kind, number, body in self._frames.split(data):
            self._take(kind, number, body)
        return True

    def _flush(self) -> None:
        try:
            del self._unsent[: self._sock.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:  # it is dead, which is heard of elsewhere
            self._unsent.clear()
        if self._unsent:
            self._loop.add_writer(self._sock, self._flush)
        else:
            self._loop.remove_writer(self._sock)
