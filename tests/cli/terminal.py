"""Runs the command in this process, as `main` is run by the script, on a queue's file."""

import asyncio
import contextlib
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from offload import JobError, JobHandle, Queue
from offload.cli.main import main


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.out.splitlines()]

    @property
    def document(self) -> Any:
        """The one JSON document."""
        assert self.err == ""
        return json.loads(self.out)


@dataclass
class Terminal:
    """A folder with the application `market`, and what was typed there."""

    app: ModuleType
    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    @property
    def queue(self) -> Queue:
        found: Queue = self.app.queue
        return found

    @property
    def file(self) -> Path:
        return self.folder / "data" / "jobs.db"

    def __call__(self, *words: str, answer: str = "") -> Done:
        """Run the command; nothing printed goes beyond 80 columns, but what must be one line."""
        self.monkeypatch.setattr(sys, "argv", ["offload", *words])
        self.monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        self.capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        return Done(code, *self.capsys.readouterr())

    def ended(self, *jobs: JobHandle[Any]) -> None:
        """Run a worker until these jobs have ended."""
        asyncio.run(self._ended(jobs))

    async def _ended(self, jobs: tuple[JobHandle[Any], ...]) -> None:
        stop = asyncio.Event()
        working = asyncio.create_task(self.queue.arun_worker(stop, install_signals=False))
        for job in jobs:
            with contextlib.suppress(JobError):
                await job.aresult(timeout=30)
        stop.set()
        await working

    def dead(self, count: int = 1) -> list[str]:
        """Let so many jobs die; return the ids of their letters, newest first."""
        self.ended(*(self.app.fail.delay() for _ in range(count)))
        return [letter.id for letter in self.queue.dead_letters()]
