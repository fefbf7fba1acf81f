"""How a process obeys `Limits`: what it is started with, and what holds while a function runs.

Of each resource only the soft limit is moved, and moved back: the process stays warm, and it
can still say what became of the job. So a function could undo it, too.
"""

import contextlib
import ctypes
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from offload.core.errors import LimitExceeded
from offload.tasks.limits import Limits, shown

KEPT = {"HOME", "LANG", "LANGUAGE", "PATH", "TMPDIR", "TZ", "VIRTUAL_ENV"}
KEPT_PREFIXES = ("LC_", "PYTHON")
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
CPU_SIGNAL = signal.SIGXCPU
"""Kills a process that goes on after its CPU time is used up, even in code that is not Python."""
SECONDS_TO_END = 1
"""Seconds of CPU for which a function may go on after it was told that they are used up."""


def environment(limits: Limits | None) -> dict[str, str] | None:
    """Return what the process may know of our environment; None is all of it."""
    if limits is None:
        return None
    return {
        name: value
        for name, value in os.environ.items()
        if name in KEPT or name.startswith(KEPT_PREFIXES) or name in limits.env
    }


def leave_network() -> None:
    """Move this process, which has one thread, to where there is no network.

    Raises:
        LimitExceeded: the kernel does not let it.
    """
    if sys.platform != "linux":
        raise LimitExceeded("network=False needs Linux: run this task there, or allow it network")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) == 0:
        return
    user, group = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        raise LimitExceeded(
            f"network=False is refused by the kernel ({os.strerror(ctypes.get_errno())}): let the "
            "worker make user namespaces (sysctl user.max_user_namespaces above 0; in a container "
            "also a seccomp profile that allows unshare), or give it CAP_SYS_ADMIN"
        )
    with contextlib.suppress(OSError):  # without it the ids read as 65534, no more
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")


@contextlib.contextmanager
def limited(limits: Limits | None) -> Iterator[None]:
    """Hold what follows to `limits`, whatever this process has used before.

    Raises:
        LimitExceeded: it used more.
    """
    with contextlib.ExitStack() as stack:
        if limits is not None and limits.cpu is not None:
            stack.enter_context(_limited_cpu(limits.cpu))
        if limits is not None and limits.most_bytes is not None:
            stack.enter_context(_limited_memory(limits.most_bytes))
        yield


@contextlib.contextmanager
def _limited_memory(most: int) -> Iterator[None]:
    held = _status("VmData")
    if held >= most:
        raise LimitExceeded(
            f"memory={shown(most)} is less than the {shown(held)} that the process holds before "
            "the function starts: allow it more"
        )
    try:
        # Not the address space: much of that is only reserved, and some libraries reserve a lot.
        with _soft(resource.RLIMIT_DATA, most):
            yield
    except MemoryError as error:
        reason = f"used more than {shown(most)} of memory"
        raise LimitExceeded(reason).with_traceback(error.__traceback__) from None


@contextlib.contextmanager
def _limited_cpu(seconds: float) -> Iterator[None]:
    def is_used_up(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise LimitExceeded(f"used more than {seconds:g} s of CPU")

    # The kernel counts a process from its start, in whole seconds.
    end = math.ceil(time.process_time() + seconds) + SECONDS_TO_END
    before = signal.signal(signal.SIGPROF, is_used_up)
    try:
        with _soft(resource.RLIMIT_CPU, end), _soft(resource.RLIMIT_CORE, 0):
            signal.setitimer(signal.ITIMER_PROF, seconds)
            yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@contextlib.contextmanager
def _soft(kind: int, value: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))


def forget_peak() -> None:
    """Let `peak` count from now."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak() -> int:
    """Return the most bytes that this process has held in memory."""
    if found := _status("VmHWM"):
        return found
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def why_killed(number: int, limits: Limits | None) -> str | None:
    """Say which limit the end of a process by a signal was, None if that cannot be told."""
    if limits is not None and limits.cpu is not None and number == CPU_SIGNAL:
        return f"used more than {limits.cpu:g} s of CPU, and did not stop"
    return None


def _status(name: str) -> int:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return 0
