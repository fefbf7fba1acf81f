"""`python -m uvicorn` in a process of its own: what it says, and lines to its tasks."""

import contextlib
import json
import os
import queue
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

PATIENCE = 50
"""Seconds after which something counts as hanging."""
STOPPING = "Waiting for application shutdown."


class Line:
    """The line to one task of a server."""

    def __init__(self, mine: socket.socket) -> None:
        mine.settimeout(PATIENCE)
        self._file = mine.makefile("rw")
        mine.close()  # the file keeps it open
        self.name, _, process = self.hear().rpartition(" ")
        self.process = int(process)

    def hear(self) -> str:
        """Return what it says next; nothing if it has hung up."""
        return self._file.readline().strip()

    def tell(self, word: str) -> None:
        self._file.write(f"{word}\n")
        self._file.flush()

    def end(self) -> str:
        """Tell the task to end, and return what it says to that."""
        self.tell("end")
        return self.hear()

    def close(self) -> None:
        self._file.close()


class Server:
    """A server with `tasks_app.py`, from its first line to its last."""

    def __init__(
        self, folder: Path, *options: str, app: str = "tasks_app:app", **limits: Any
    ) -> None:
        self.folder = folder
        self.said: list[str] = []
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._calls = socket.create_server(("127.0.0.1", 0))
        self._calls.settimeout(PATIENCE)
        self._callers: list[Line] = []
        self._requests: list[socket.socket] = []
        command = [sys.executable, "-m", "uvicorn", app, "--port", "0", *options]
        self.process = subprocess.Popen(
            [*command, "--app-dir", str(Path(__file__).parent), "--no-access-log"],
            cwd=folder,
            env=os.environ
            | {"LINES": str(self._calls.getsockname()[1]), "LIMITS": json.dumps(limits)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.put(line.rstrip())
        self._lines.put(None)

    def hear(self, words: str) -> str:
        """Return the next line with these words, once the server has said it."""
        while (line := self._lines.get(timeout=PATIENCE)) is not None:
            self.said.append(line)
            if words in line:
                return line
        raise AssertionError("\n".join([f"it never said {words!r}:", *self.said]))

    def line(self) -> Line:
        """Return the line to the next task that calls."""
        mine, _ = self._calls.accept()
        line = Line(mine)
        self._callers.append(line)
        return line

    def up(self) -> str:
        """Return the server's address, once it serves."""
        self.address = self.hear("running on ").split("running on ")[1].split()[0]
        return self.address

    def in_flight(self) -> Line:
        """Make a request that goes on, and return the line to its endpoint."""
        port = int(self.address.rpartition(":")[2])
        request = socket.create_connection(("127.0.0.1", port))
        request.sendall(b"POST /hold HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n")
        self._requests.append(request)
        return self.line()

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def stop(self) -> None:
        """Ask the server to end; return when it waits for its tasks."""
        self.signal()
        self.hear(STOPPING)

    def ended(self) -> str:
        """Return all that the server has said, once it has ended by itself."""
        self.process.wait(PATIENCE)
        while (line := self._lines.get(timeout=PATIENCE)) is not None:
            self.said.append(line)
        return "\n".join(self.said)

    def effects(self) -> list[str]:
        """Return what tasks have written into the application's database."""
        with contextlib.closing(sqlite3.connect(self.folder / "app.db")) as reader:
            return [name for (name,) in reader.execute("SELECT name FROM effects ORDER BY rowid")]

    def kill(self) -> None:
        """End whatever is left of it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        for line in self._callers:
            line.close()
        for each in (*self._requests, self._calls):
            each.close()


@contextlib.contextmanager
def serving(folder: Path, *options: str, **limits: Any) -> Iterator[tuple[Server, httpx.Client]]:
    """Yield a server that is up, and a client of it."""
    server = Server(folder, *options, **limits)
    try:
        # With --reload and --workers, the parent says that it runs; its children listen later.
        patient = httpx.HTTPTransport(retries=10)
        address, limit = server.up(), 3 * PATIENCE
        with httpx.Client(base_url=address, timeout=limit, transport=patient) as client:
            yield server, client
    finally:
        server.kill()


def start(client: httpx.Client, mode: str, work: str, **options: Any) -> str:
    """Have a request schedule a task, and return its id."""
    answer = client.post(f"/start/{mode}/{work}", params={"options": json.dumps(options)})
    answer.raise_for_status()
    said: str = answer.json()
    return said
