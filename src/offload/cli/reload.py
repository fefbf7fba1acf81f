"""Runs the worker anew whenever the application's code changes: for development."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import FrameType

from offload.worker.child import die_with_parent

EVERY = 0.5
"""Seconds between two looks at the files."""
HURRY = (signal.SIGINT, signal.SIGTERM)
"""Two signals end a worker without grace: its jobs go back, to run again with the new code."""

Snapshot = dict[str, tuple[int, int]]


class Reloader:
    """Keeps one worker running until it is itself asked to stop."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        """Run `command`, and again when a `*.py` below `folder` changes."""
        self._command = command
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._asked: list[int] = []

    def run(self) -> None:
        """Return when asked to stop; a worker that ends by itself waits for the next change."""
        for number in HURRY:
            signal.signal(number, self._pass_on)
        while not self._asked:
            seen = snapshot(self._folder)
            process = self._process = self._start()
            for asked in self._asked:  # while it was being started
                process.send_signal(asked)
            while not self._asked and snapshot(self._folder) == seen:
                time.sleep(EVERY)
            if not self._asked:
                print("offload: the code has changed: the worker starts anew", file=sys.stderr)  # noqa: T201
                for number in HURRY:
                    process.send_signal(number)
            process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        # A group of its own: Ctrl-C reaches us alone, and we pass it on.
        return subprocess.Popen(  # noqa: S603 - our own command
            self._command,
            process_group=0,
            preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509 - there are no threads here
        )

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._asked.append(number)
        if self._process is not None:
            self._process.send_signal(number)


def snapshot(folder: Path) -> Snapshot:
    """Return what tells one state of the code below `folder` from another."""
    found = {}
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__"))]
        for path in (Path(place, name) for name in files if name.endswith(".py")):
            with contextlib.suppress(OSError):  # it is gone again
                stat = path.stat()
                found[str(path)] = (stat.st_mtime_ns, stat.st_size)
    return found
