"""The process in which `executor="process"` runs functions, one at a time, until it is killed.

    python -m offload.worker.child FD

It reads a job a line from the socket FD and answers with news and one outcome.
"""

import ctypes
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import threading
from contextvars import Context
from types import FrameType, FunctionType
from typing import TYPE_CHECKING, Any, TextIO

from offload.core.decide import Outcome, Raised, Returned
from offload.core.errors import JobTimeout, LimitExceeded, TaskDefinitionError
from offload.core.job import Job
from offload.core.records import Report
from offload.tasks.context import JobContext, enter
from offload.tasks.limits import Limits
from offload.worker.calls import SOFT_TIMEOUT, signature_of
from offload.worker.confine import forget_peak, leave_network, limited, peak
from offload.worker.report import to_wire
from offload.worker.run import Run, failure_of
from offload.worker.wire import job_of, told

if TYPE_CHECKING:
    from offload.tasks.registry import AnyTask

PR_SET_PDEATHSIG = 1
INTERRUPTS = (SOFT_TIMEOUT, signal.SIGPROF)
"""Signals that raise in a function."""


class Pipe:
    """News to the worker, the owner of each run; the outcome is what `_execute` returns."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`."""
        self._stream = stream
        self._lock = threading.Lock()

    def start(self, run: Run) -> None:
        """Nothing follows: runs come one by one."""

    def begun(self, run: Run) -> None:
        """Let the worker's clock run."""
        self.send({"begun": run.job.id})

    def said(self, run: Run, report: Report) -> None:  # noqa: ARG002 - it names its run
        """Pass news on; while the worker has no room for more, writing waits."""
        self.report(report)

    def report(self, report: Report) -> None:
        """See `Reporter`: what an isolated function says goes the same way."""
        self.send(to_wire(report))

    def ended(self, run: Run, outcome: Outcome) -> None:
        """Nothing is told twice."""

    def send(self, message: dict[str, Any]) -> None:
        """Write one line, whole: a function is interrupted before or after it."""
        line = json.dumps(message) + "\n"
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)
        try:
            with self._lock:
                self._stream.write(line)
                self._stream.flush()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)


def main() -> None:
    """Work for whoever has started this process."""
    work(socket.socket(fileno=int(sys.argv[1])), os.getppid())


def work(orders: socket.socket, parent: int) -> None:
    """Work until the socket closes, or the parent dies."""
    for number in (signal.SIGINT, *INTERRUPTS):
        signal.signal(number, signal.SIG_IGN)
    stream = orders.makefile("rw", encoding="utf-8", newline="\n")
    line = stream.readline()
    if not line:
        return  # it is not wanted any more
    setup = json.loads(line)
    refusal = None if setup["network"] else _without_network()
    die_with_parent(parent)  # the kernel forgets this when it gives a process new rights
    sys.path[:] = setup["path"]
    pipe = Pipe(stream)
    for line in stream:
        order = json.loads(line)
        outcome = refusal or _outcome_of(order, pipe, setup["main"])
        pipe.send({**_answer(outcome), "memory": peak()})


def _without_network() -> Outcome | None:
    try:
        leave_network()
    except LimitExceeded as error:
        return Raised(failure_of(error))
    return None


def _outcome_of(order: dict[str, Any], pipe: Pipe, main_file: str | None) -> Outcome:
    try:
        found = _find(order["module"], order["qualname"], main_file)
        job = order["job"] and job_of(order["job"], order["payload"].encode())
        if "limits" in order:
            # A context of its own: the job of one call is not that of the next.
            return Context().run(_call, found, order, job, pipe)
        return _execute(Run(job, _task(found), pipe))
    except BaseException as error:  # noqa: BLE001 - a module that cannot be imported, most often
        return Raised(failure_of(error))


def _answer(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Returned):
        return {"result": outcome.result.decode()}
    return told(outcome)


def _execute(run: Run) -> Outcome:
    def time_is_up(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise JobTimeout(run.timed_out())

    enter(run.context)
    try:
        args, kwargs = run.signature.decode_arguments(run.job.payload)
        signal.signal(SOFT_TIMEOUT, time_is_up)
        forget_peak()
        run.start_clock()
        with limited(run.task.limits):
            return run.returned(run.call(args, kwargs))
    except BaseException as error:  # noqa: BLE001 - SystemExit must not end the process
        return run.raised(error)
    finally:
        signal.signal(SOFT_TIMEOUT, signal.SIG_IGN)


def _call(found: Any, order: dict[str, Any], job: Job | None, pipe: Pipe) -> Outcome:
    """Call an isolated function, for a job or for none."""
    function = function_of(found)
    signature = signature_of(function)
    if job is not None:
        enter(JobContext(job, pipe, signature))
    args, kwargs = signature.decode_arguments(order["payload"].encode())
    forget_peak()
    with limited(Limits(**order["limits"])):
        pipe.send({"begun": order["qualname"]})
        return Returned(signature.encode_result(function(*args, **kwargs)))


def _find(module: str, qualname: str, main_file: str | None) -> Any:
    if module == "__main__" and main_file:
        # As multiprocessing does: the script once more, under a name that starts nothing.
        namespace = sys.modules.get("__offload_main__") or _run_script(main_file)
    else:
        namespace = importlib.import_module(module)
    return attribute(namespace, qualname)


def attribute(found: Any, qualname: str) -> Any:
    """Return what stands under a dotted name."""
    for part in qualname.split("."):
        found = getattr(found, part)
    return found


def function_of(found: Any) -> Any:
    """Return the function, which may have been made a task."""
    return found if isinstance(found, FunctionType) else getattr(found, "function", found)


def _task(found: Any) -> "AnyTask":
    # Nothing of tasks is needed where functions are isolated, and it fills a third of the memory.
    from offload.tasks.task import Task  # noqa: PLC0415

    if not isinstance(found, Task):
        raise TaskDefinitionError(f"{found!r} is no task when its process imports it")
    return found


def _run_script(path: str) -> Any:
    module = type(sys)("__offload_main__")
    module.__dict__.update(runpy.run_path(path, run_name="__offload_main__"))
    sys.modules["__offload_main__"] = module
    return module


def die_with_parent(parent: int) -> None:
    """Let the kernel kill this process when its worker dies, whatever the function is doing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel was told
        sys.exit()


if __name__ == "__main__":
    main()
