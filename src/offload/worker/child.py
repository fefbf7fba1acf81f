"""The process in which `executor="process"` runs functions, one at a time, until it is killed.

    python -m offload.worker.child FD

It reads a job a line from the socket FD and answers with progress and one outcome.
"""

import ctypes
import importlib
import json
import os
import runpy
import signal
import socket
import sys
from types import FrameType
from typing import Any, TextIO

from offload.core.decide import Outcome, Raised, Returned
from offload.core.errors import JobTimeout, TaskDefinitionError
from offload.core.job import Job
from offload.tasks.context import enter
from offload.tasks.registry import AnyTask
from offload.tasks.task import Task
from offload.worker.processes import SOFT_TIMEOUT
from offload.worker.run import Run, failure_of
from offload.worker.wire import job_of, told

PR_SET_PDEATHSIG = 1


class Pipe:
    """News to the worker."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`."""
        self._stream = stream

    def progress(self, job: Job, percent: int) -> None:
        """Pass progress on; the worker merges what comes too fast."""
        self.send({"id": job.id, "progress": percent})

    def send(self, message: dict[str, Any]) -> None:
        """Write one line."""
        self._stream.write(json.dumps(message) + "\n")
        self._stream.flush()


def main() -> None:
    """Work until the socket closes."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(SOFT_TIMEOUT, signal.SIG_IGN)
    stream = socket.socket(fileno=int(sys.argv[1])).makefile("rw", encoding="utf-8", newline="\n")
    setup = json.loads(stream.readline())
    sys.path[:] = setup["path"]
    pipe = Pipe(stream)
    for line in stream:
        order = json.loads(line)
        pipe.send(_answer(order, pipe, setup["main"]))


def _answer(order: dict[str, Any], pipe: Pipe, main_file: str | None) -> dict[str, Any]:
    outcomes: list[Outcome] = []
    try:
        task = _find(order["module"], order["qualname"], main_file)
        run = Run(
            job_of(order["job"], order["payload"].encode()),
            task,
            pipe,
            lambda _, outcome: outcomes.append(outcome),
        )
        _execute(run, pipe)
    except BaseException as error:  # noqa: BLE001 - a module that cannot be imported, most often
        outcomes.append(Raised(failure_of(error)))
    outcome = outcomes[0]
    if isinstance(outcome, Returned):
        return {"result": outcome.result.decode()}
    return told(outcome)


def _execute(run: Run, pipe: Pipe) -> None:
    def time_is_up(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise JobTimeout(run.timed_out())

    enter(run.context)
    try:
        args, kwargs = run.signature.decode_arguments(run.job.payload)
        signal.signal(SOFT_TIMEOUT, time_is_up)
        pipe.send({"begun": run.job.id})
        outcome = run.returned(run.task.function(*args, **kwargs))
    except BaseException as error:  # noqa: BLE001 - SystemExit must not end the process
        outcome = run.raised(error)
    finally:
        signal.signal(SOFT_TIMEOUT, signal.SIG_IGN)
    run.end(outcome)


def _find(module: str, qualname: str, main_file: str | None) -> AnyTask:
    if module == "__main__" and main_file:
        # As multiprocessing does: the script once more, under a name that starts nothing.
        namespace = sys.modules.get("__offload_main__") or _run_script(main_file)
    else:
        namespace = importlib.import_module(module)
    found: Any = namespace
    for part in qualname.split("."):
        found = getattr(found, part)
    if not isinstance(found, Task):
        raise TaskDefinitionError(f"{module}.{qualname} is no task when its process imports it")
    return found


def _run_script(path: str) -> Any:
    module = type(sys)("__offload_main__")
    module.__dict__.update(runpy.run_path(path, run_name="__offload_main__"))
    sys.modules["__offload_main__"] = module
    return module


def die_with_parent() -> None:
    """Let the kernel kill this process when its worker dies, whatever the function is doing."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel was told
        sys.exit()


if __name__ == "__main__":
    main()
