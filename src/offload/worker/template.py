"""The process from which `isolated` forks others, once it has imported what they need.

    python -m offload.worker.template FD

What it has imported is in memory once for all of them, and a fork takes milliseconds. A message
on FD asks for one and brings its socket; the answer is its process, and later how that ended. It
has one thread, for no other would survive a fork: a module that starts some makes it unfit.
"""

import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from offload.core.errors import LimitExceeded
from offload.worker.calls import MESSAGE, signature_of
from offload.worker.child import attribute, die_with_parent, function_of, work
from offload.worker.confine import leave_network


def main() -> None:
    """Fork until the socket closes and the last process has ended."""
    parent = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    message = control.recv(MESSAGE)
    if not message:
        return  # it is not wanted any more
    setup = json.loads(message)
    if not setup["network"]:
        try:
            leave_network()
        except LimitExceeded:
            return  # who asks for a process without a template is told why
    die_with_parent(parent)  # the kernel forgets this when it gives a process new rights
    sys.path[:] = setup["path"]
    module = None
    with contextlib.suppress(BaseException):  # whoever calls the function is told why
        module = importlib.import_module(setup["module"])
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        return
    control.send(b"{}")
    Template(control, module).serve()


class Template:
    """Forks, and tells how what it has forked ends."""

    def __init__(self, control: socket.socket, module: object) -> None:
        """Take orders from `control`, for functions of `module`."""
        self._control = control
        self._module = module
        self._events = selectors.DefaultSelector()
        self._events.register(control, selectors.EVENT_READ)

    def serve(self) -> None:
        """Return when there is nothing left to do, in a forked process when its work is over."""
        while self._events.get_map():
            for key, _ in self._events.select():
                if key.data is not None:
                    self._bury(key.fd, key.data)
                elif (order := self._order()) is None:
                    self._events.unregister(self._control)
                elif self._fork(order) == 0:
                    return

    def _order(self) -> int | None:
        message, descriptors, _, _ = socket.recv_fds(self._control, MESSAGE, 1)
        if not message:
            return None
        self._prepare(json.loads(message)["qualname"])
        return descriptors[0]

    def _prepare(self, qualname: str) -> None:
        """Make ready here what each process would make ready for itself."""
        with contextlib.suppress(Exception):  # whoever calls the function is told why
            signature_of(function_of(attribute(self._module, qualname))).resolve()
        gc.collect()
        gc.freeze()  # what is never looked at stays shared

    def _fork(self, descriptor: int) -> int:
        template = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._forget()
            work(socket.socket(fileno=descriptor), template)
            return pid
        os.close(descriptor)
        os.setpgid(pid, pid)  # what it starts is killed with it
        self._events.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)
        self._say({"pid": pid})
        return pid

    def _forget(self) -> None:
        for key in list(self._events.get_map().values()):
            os.close(key.fd)
        self._control.detach()
        self._events.close()

    def _bury(self, descriptor: int, pid: int) -> None:
        self._events.unregister(descriptor)
        os.close(descriptor)
        _, status = os.waitpid(pid, 0)
        self._say({"ended": pid, "code": os.waitstatus_to_exitcode(status)})

    def _say(self, message: dict[str, Any]) -> None:
        self._control.send(json.dumps(message).encode())


if __name__ == "__main__":
    main()
