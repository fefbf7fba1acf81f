"""A client of the service, over HTTP and nothing else; what ``imaging run`` tries itself with.

Standard library only: it shows how little another program needs to use the service.
"""

import http.client
import json
import secrets
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_TIMEOUT = 60.0
_OVER = {"complete", "failed", "dead", "cancelled"}


class Unexpected(Exception):
    """The service answered something else than it promises."""


class Client:
    """One connection at a time to a service on this machine."""

    def __init__(self, host: str, port: int, key: str | None = None) -> None:
        self.address = (host, port)
        self._headers = {"X-API-Key": key} if key else {}

    def upload(self, path: Path) -> str:
        """Send one file and give its id."""
        boundary = secrets.token_hex(16)
        head = (
            f"--{boundary}\r\nContent-Disposition: form-data; "
            f'name="file"; filename="{path.name}"\r\n\r\n'
        )
        body = head.encode() + path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        return str(self._json("POST", "/upload", body, kind)["id"])

    def progress(self, upload_id: str) -> Iterator[int]:
        """Yield the percentages that the service streams, until the upload is over."""
        with self._response("GET", f"/upload/{upload_id}/events") as response:
            for line in response:
                if line.startswith(b"data:"):
                    event = json.loads(line[5:])
                    yield int(event["progress"])
                    if event["status"] in _OVER:
                        return

    def one(self, upload_id: str) -> dict[str, Any]:
        """Show one upload with its measures."""
        return self._json("GET", f"/uploads/{upload_id}")

    def uploads(self) -> list[dict[str, Any]]:
        """List the newest uploads with their measures."""
        listed: list[dict[str, Any]] = self._json("GET", "/uploads?limit=100")["uploads"]
        return listed

    def download(self, url: str) -> bytes:
        """Fetch an output, from wherever the service says."""
        with self._response("GET", url) as response:
            elsewhere = response.getheader("Location")
            if elsewhere is None:
                return response.read()
        # A bucket: its link holds all that it asks for.
        with urllib.request.urlopen(elsewhere, timeout=_TIMEOUT) as found:  # noqa: S310 -- our own
            return bytes(found.read())

    def _json(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        with self._response(method, url, body, headers) as response:
            answer: dict[str, Any] = json.loads(response.read())
            return answer

    @contextmanager
    def _response(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(*self.address, timeout=_TIMEOUT)
        try:
            connection.request(method, url, body, {**self._headers, **(headers or {})})
            response = connection.getresponse()
            if response.status >= http.client.BAD_REQUEST:
                reason = response.read(500).decode("utf-8", "replace")
                raise Unexpected(f"{method} {url} answered {response.status}: {reason}")
            yield response
        finally:
            connection.close()
