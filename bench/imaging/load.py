"""A client of either service: `python load.py PORT MODE CONNECTIONS FILE…`; prints JSON.

`flood`: send all files as fast as they are taken, then wait for the last result. `turns`: each
connection sends one, waits for its result, and sends the next. Nothing but the standard library,
and a body is made before the clock starts, so that the client costs little.
"""

import http.client
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

LOOK_SECONDS = 0.01
# Four that look a hundred times a second would cost more than what is measured.
SELDOM_SECONDS = 0.1
PATIENCE_SECONDS = 120.0
BOUNDARY = "x3f9d1c07a5"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


class Connection:
    """One connection, kept open."""

    def __init__(self, port: int) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)

    def upload(self, body: bytes) -> str:
        """Send a form, and return the upload's id."""
        return str(json.loads(self.ask("POST", "/upload", body))["id"])

    def wait(self, upload_id: str, pause: float = LOOK_SECONDS) -> None:
        """Look until the upload is done."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (status := self._status(upload_id)) != "SUCCESS":
            assert status in {"PENDING", "PROGRESS"}, status
            assert time.monotonic() < deadline, upload_id
            time.sleep(pause)

    def outputs(self, upload_id: str) -> dict[str, bytes]:
        """Download what has been made."""
        links = json.loads(self.ask("GET", f"/upload/{upload_id}/result"))["result"]
        return {name: self.ask("GET", link) for name, link in links.items()}

    def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Return the body of an answer."""
        self._http.request(method, path, body, FORM if body else {})
        answer = self._http.getresponse()
        data = answer.read()
        assert answer.status in {200, 202}, (answer.status, data[:200])
        return data

    def _status(self, upload_id: str) -> str:
        return str(json.loads(self.ask("GET", f"/upload/{upload_id}/status"))["status"])


def form(path: Path) -> bytes:
    """Return the body that a browser would send."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    return head.encode() + path.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode()


def flood(connection: Connection, bodies: "SimpleQueue[bytes]", taken: list[float]) -> None:
    """Send what is left to send, then wait for all of one's own."""
    mine = []
    for body in each(bodies):
        began = time.perf_counter()
        mine.append(connection.upload(body))
        taken.append(time.perf_counter() - began)
    for upload_id in mine:
        connection.wait(upload_id, SELDOM_SECONDS)


def turns(connection: Connection, bodies: "SimpleQueue[bytes]", taken: list[float]) -> None:
    """Send one after the other, each when the result of the last one is in hand."""
    for body in each(bodies):
        began = time.perf_counter()
        connection.wait(upload_id := connection.upload(body))
        taken.append(time.perf_counter() - began)
        assert len(connection.outputs(upload_id)) >= len(("resized_compressed", "thumbnail"))


def each(bodies: "SimpleQueue[bytes]") -> Any:
    """Yield from a line that others take from, too."""
    while True:
        try:
            yield bodies.get_nowait()
        except Empty:
            return


MODES: dict[str, Callable[[Connection, "SimpleQueue[bytes]", list[float]], None]] = {
    "flood": flood,
    "turns": turns,
}


def main(port: int, mode: str, connections: int, paths: list[Path]) -> dict[str, Any]:
    """Return the seconds of it all, and of each upload."""
    bodies: SimpleQueue[bytes] = SimpleQueue()
    for path in paths:
        bodies.put(form(path))
    taken: list[float] = []
    threads = [
        threading.Thread(target=MODES[mode], args=(Connection(port), bodies, taken))
        for _ in range(connections)
    ]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(paths), "a connection failed"
    return {"seconds": time.perf_counter() - began, "taken": taken}


if __name__ == "__main__":
    told = main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), [Path(p) for p in sys.argv[4:]])
    print(json.dumps(told))
