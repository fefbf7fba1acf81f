"""The service that gets a share of the files, over HTTP as everybody."""

from pathlib import Path
from types import TracebackType
from typing import Self

from services.imaging.tests.running import DECLARED, Running, file

KEPT = ("files/originals/", "files/processed/", "files/outputs/")


class Site:
    """A running service, and what it has done with what it was sent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self._service = Running(folder / "data")

    def __enter__(self) -> Self:
        self._service.__enter__()
        self._process = self._service.start(**DECLARED)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._service.__exit__(kind, error, trace)

    def take(self, data: bytes) -> str:
        """Upload a file and wait for what becomes of it, in the words of a lane."""
        response = self._service.upload(file("x.jpg", data))
        body = response.json()
        if response.status_code in {413, 415, 422}:
            return f"refused: {body['code']}"
        if response.status_code != 202:
            return f"unhandled status: {response.status_code} {body}"
        status = self._service.finished(str(body["id"]))
        code = (status["error"] or {}).get("code")
        return "accepted" if status["status"] == "SUCCESS" else f"failed: {code}"

    def faults(self) -> list[str]:
        """Look for what is there and must not be."""
        stray = [name for name in self._service.files() if not name.startswith(KEPT)]
        known = {self._service.folder, self._service.log}
        beside = sorted(str(path) for path in self._folder.iterdir() if path not in known)
        log = self._service.log.read_text(encoding="utf-8", errors="replace")
        return [
            *(f"a stray file: {name}" for name in [*stray, *beside]),
            *(["the web process has died"] if self._process.poll() is not None else []),
            *([f"an error in the log: {log[-2000:]}"] if "Traceback" in log else []),
        ]
