"""Sends pictures while processes are killed, then looks at everything that is there."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from random import Random
from threading import Event, Thread
from typing import Any

import httpx

from services.imaging.tests.crash.faults import Faults
from services.imaging.tests.crash.pictures import digest, picture
from services.imaging.tests.running import DECLARED, Running, file

CONNECTIONS = 2
AHEAD = 5
"""Pictures of a connection that may wait for a worker."""
LOOK_SECONDS = 0.1
# Of the janitor, which comes each second when it is told to.
LOOKS = 600
AGE_SECONDS = 2 * 3600
"""Older than what the janitor takes for a request that is still under way."""


@dataclass
class Report:
    """What was done, and what was found; `faults` must stay empty."""

    images: int
    sent_again: int = 0
    acknowledged: list[str] = field(default_factory=list)
    killed: list[str] = field(default_factory=list)
    seconds: float = 0.0
    uploads: int = 0
    attempts_lost: int = 0
    left_for_the_janitor: int = 0
    objects: int = 0
    faults: list[str] = field(default_factory=list)


class Run:
    """One run over one data folder."""

    def __init__(self, service: Running, images: int, kills: int, seed: int) -> None:
        self.report = Report(images)
        self._service = service
        self._kills = kills
        self._faults = Faults(service, Random(seed))
        self._numbers: SimpleQueue[int] = SimpleQueue()
        self._over = Event()

    def run(self) -> Report:
        """Do all of it."""
        began = time.monotonic()
        for number in range(self.report.images):
            self._numbers.put(number)
        senders = [Thread(target=self._send, daemon=True) for _ in range(CONNECTIONS)]
        for sender in senders:
            sender.start()
        self._kill()
        for sender in senders:
            sender.join()
        self._wait_for_all()
        self.report.seconds = round(time.monotonic() - began, 1)
        self.report.killed = self._faults.killed
        self._judge()
        return self.report

    # ---------------------------------------------------------------------------- the load

    def _send(self) -> None:
        mine: list[str] = []
        while (number := self._next()) is not None:
            answer = self._until_answered(number, picture(number))
            mine.append(str(answer.json()["id"]))
            self.report.acknowledged.append(mine[-1])
            # No further ahead than this, or all would have been sent before the first kill.
            if len(mine) > AHEAD:
                self._wait_for(mine[-AHEAD])

    def _next(self) -> int | None:
        try:
            return self._numbers.get_nowait()
        except Empty:
            return None

    def _until_answered(self, number: int, data: bytes) -> httpx.Response:
        """Send it again if the answer did not come, as any client must."""
        while True:
            try:
                answer = self._service.upload(file(f"{number}.jpg", data))
            except httpx.TransportError:
                self.report.sent_again += 1
                continue
            assert answer.status_code == 202, answer.text
            return answer

    def _kill(self) -> None:
        """Kill workers whenever so many more pictures are done, the web process in the middle."""
        step = self.report.images / (self._kills + 2)
        for number in range(1, self._kills + 1):
            while self._ended() < step * number:
                self._over.wait(LOOK_SECONDS)
            self._faults.worker()
            if number == (self._kills + 1) // 2:
                self._faults.web()

    def _ended(self) -> int:
        # However it ended: what did not end well is told of at the end.
        stats = self._stats()
        return sum(stats.values()) - stats["pending"] - stats["running"]

    def _wait_for_all(self) -> None:
        for upload_id in self.report.acknowledged:
            self._wait_for(upload_id)
        while (stats := self._stats())["pending"] or stats["running"]:
            self._over.wait(LOOK_SECONDS)  # what was sent and not answered, too

    def _wait_for(self, upload_id: str) -> None:
        self._get(f"/tasks/jobs/{upload_id}/result", timeout=40)

    # ------------------------------------------------------------------------ what is there

    def _judge(self) -> None:
        report, uploads = self.report, list(self._uploads())
        report.uploads = len(uploads)
        found = {one["id"] for one in uploads}
        bad = [f"{one['id']} is {one['status']}" for one in uploads if one["status"] != "SUCCESS"]
        report.faults += bad
        report.faults += [f"{each} is gone" for each in report.acknowledged if each not in found]
        if len(uploads) > len(report.acknowledged) + report.sent_again:
            report.faults.append(f"{len(uploads)} uploads of {report.images} pictures")
        if not self._faults.alive():
            report.faults.append("a process has died that nobody killed")
        report.attempts_lost = sum(
            len(self._get(f"/tasks/jobs/{one['id']}/errors")) for one in uploads
        )
        report.faults += self._wrong_outputs(uploads)

    def _wrong_outputs(self, uploads: list[dict[str, Any]]) -> Iterator[str]:
        """Compare the outputs of all, which must be the same: the pictures are."""
        first: dict[str, str] = {}
        for one in uploads:
            links = self._get(f"/upload/{one['id']}/result")["result"] or {}
            made = {
                kind: digest(self._service.client.get(url).content) for kind, url in links.items()
            }
            if made != (first := first or made):
                yield f"the outputs of {one['id']} differ from others"

    def look_at_files(self) -> None:
        """Once all is stopped and started anew as if hours later, nothing but objects is there."""
        report, service = self.report, self._service
        before = service.files()
        old = time.time() - AGE_SECONDS
        for name in before:
            os.utime(service.folder / name, (old, old))
        service.start(**DECLARED, IMAGING_SWEEP_SECONDS="1")
        wrong = self._wrong_files()
        for _ in range(LOOKS):
            if not wrong:
                break
            self._over.wait(LOOK_SECONDS)
            wrong = self._wrong_files()
        report.faults += wrong
        report.objects = len(service.files())
        report.left_for_the_janitor = len(before) - report.objects

    def _wrong_files(self) -> list[str]:
        names = self._service.files()
        originals = [name for name in names if name.startswith("files/originals/")]
        outputs = [n for n in names if n.startswith(("files/processed/", "files/outputs/"))]
        wrong = [f"a stray file: {name}" for name in {*names} - {*originals, *outputs}]
        there = {digest((self._service.folder / name).read_bytes()) for name in originals}
        sent = {digest(picture(number)) for number in range(self.report.images)}
        if there != sent:
            wrong.append(f"{len(sent - there)} originals missing, {len(there - sent)} too many")
        if len(originals) > self.report.uploads:
            wrong.append(f"{len(originals)} originals of {self.report.uploads} uploads")
        if not outputs or len(outputs) % len(originals):
            wrong.append(f"{len(outputs)} outputs of {len(originals)} originals")
        return wrong

    # ----------------------------------------------------------------------------- requests

    def _uploads(self) -> Iterator[dict[str, Any]]:
        before: str | None = ""
        while before is not None:
            page = self._get("/uploads", limit=100, **({"before": before} if before else {}))
            yield from page["uploads"]
            before = page["next"]

    def _stats(self) -> dict[str, int]:
        stats: dict[str, int] = self._get("/tasks/stats")
        return stats

    def _get(self, path: str, **query: Any) -> Any:
        """Ask until there is an answer: the web process may just be dead."""
        while True:
            try:
                answer = self._service.client.get(path, params=query)
            except httpx.TransportError:
                continue
            assert answer.status_code < 300, (path, answer.text)
            return answer.json()


def run(folder: Path, images: int, kills: int, seed: int) -> Report:
    """Run over a folder of its own; the report."""
    with Running(folder) as service:
        one = Run(service, images, kills, seed)
        report = one.run()
        service.stop()
        one.look_at_files()
    return report
