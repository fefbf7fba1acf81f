"""Somebody who is told by webhooks: a server on loopback, which answers as the test says."""

import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request that has arrived."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """``answers``: the statuses to answer with, one after the other; then 204 for ever."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    location: str | None = None
    deliveries: "queue.Queue[Delivery]" = field(default_factory=queue.Queue)

    def next(self) -> Delivery:
        """Wait for the next request."""
        return self.deliveries.get(timeout=40)


@contextmanager
def receiving(host: str = "127.0.0.1") -> Iterator[Receiver]:
    """Yield a receiver that listens."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
            if receiver.location:
                self.send_header("Location", receiver.location)
            self.send_header("Content-Length", "0")
            self.end_headers()
            receiver.deliveries.put(Delivery(self.path, headers, body))

        def log_message(self, *_: object) -> None: ...

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    with Server((host, 0), Handler) as server:
        shown = f"[{host}]" if ":" in host else host
        receiver.url = f"http://{shown}:{server.server_port}/hook?a=b"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
