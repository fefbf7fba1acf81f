"""Takes one file after the other the way that the service takes them: probe, then decode."""

import json
import os
import select
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from services.imaging.tests.fuzz.cell import MEMORY
from services.imaging.tests.running import ROOT

# For one that sleeps for ever; what one may work is limited in its own process.
PATIENCE = 60.0
KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Answer:
    """What became of a file in one process; seconds of processor time, bytes of memory."""

    outcome: str
    seconds: float = 0.0
    peak: int = 0


class Cell:
    """A process of one role, started anew whenever it has died."""

    def __init__(self, role: str, place: Path) -> None:
        self._command = [sys.executable, "-m", "services.imaging.tests.fuzz.cell", role]
        self._place = place
        self._process = self._start()

    def ask(self, path: Path) -> Answer:
        """Hand it one file."""
        streams = self._process.stdin, self._process.stdout
        assert streams[0] is not None
        assert streams[1] is not None
        streams[0].write(json.dumps(str(path)) + "\n")
        streams[0].flush()
        ready, _, _ = select.select([streams[1]], [], [], PATIENCE)
        line = streams[1].readline() if ready else ""
        return Answer(*json.loads(line)) if line else self._died(hangs=not ready)

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def _died(self, *, hangs: bool) -> Answer:
        how = "hangs" if hangs else _ended(self._process.wait())
        self.end()
        self._process = self._start()
        return Answer(f"unhandled death: {how}")

    def _start(self) -> subprocess.Popen[str]:
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        paths = [str(ROOT), *kept.get("PYTHONPATH", "").split(os.pathsep)]
        place = str(self._place)
        theirs = {"HOME": place, "TMPDIR": place, "MALLOC_ARENA_MAX": "1"}
        return subprocess.Popen(
            self._command,
            env={**kept, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **theirs},
            cwd=place,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )


def _ended(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit {code}"


class Lane:
    """A prober, a decoder, and the only folder in which anything may appear."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "root" / "upload"
        for place in ("root", "elsewhere"):
            (folder / place).mkdir(parents=True)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        elsewhere = self._folder / "elsewhere"
        self._prober, self._decoder = Cell("probe", elsewhere), Cell("decode", elsewhere)
        self._stack.callback(self._prober.end)
        self._stack.callback(self._decoder.end)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def take(self, data: bytes) -> Answer:
        """Put one file through; `refused: …` by the web process, `failed: …` by a worker."""
        self._file.write_bytes(data)
        answer, stage = self._prober.ask(self._file), "refused"
        if answer.outcome == "accepted":
            answer, stage = self._decoder.ask(self._file), "failed"
        outcome = self._fault(answer) or answer.outcome
        known = outcome == "accepted" or outcome.startswith("unhandled")
        return Answer(outcome if known else f"{stage}: {outcome}", answer.seconds, answer.peak)

    def _fault(self, answer: Answer) -> str | None:
        if answer.peak > MEMORY:
            return f"unhandled size: {answer.peak >> 20} MB"
        found = {path for path in self._folder.rglob("*") if path.is_file()} - {self._file}
        return f"unhandled files: {sorted(map(str, found))}" if found else None
