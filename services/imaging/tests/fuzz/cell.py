"""A process that does one thing to files: `python -m … probe|decode`.

One path a line comes in, one answer a line goes out. `probe` runs unlimited, as in the web process;
`decode` has the memory and the processor time that one picture may cost, and dies of more.
"""

import json
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from imaging.orders import BadImage, Limits, Order
from imaging.pipeline import probe, render
from imaging.presets import Format
from services.imaging.tests.running import QUICK

MEMORY = 512 << 20
SECONDS = 10.0
LIMITS = Limits()
WHOLE = {Format.JPEG: (b"\xff\xd8\xff", b"\xff\xd9"), Format.WEBP: (b"RIFF", b"")}
NEVER_IN_OUTPUTS = (b"<script", b"<?php", b"Exif\0", b"http://ns.adobe.com/xap")


def look(path: Path) -> None:
    """Do what the web process does with a file."""
    probe(path, LIMITS)


def decode(path: Path) -> None:
    """Do what a worker does with a file, and look at what comes out."""
    with TemporaryDirectory(dir=".") as folder:
        orders = [Order(preset, Path(folder, preset.file)) for preset in QUICK]
        made = render(path, LIMITS, orders, lambda _percent: None).outputs
        for preset, target in ((order.preset, order.target) for order in orders):
            output, data = made[preset.name], target.read_bytes()
            begin, end = WHOLE[preset.format]
            assert data.startswith(begin), f"{preset.name} is no {preset.format}"
            assert data.endswith(end), f"{preset.name} is not whole"
            assert output.width <= preset.width, f"{preset.name} is too wide"
            assert output.height <= preset.height, f"{preset.name} is too high"
            assert not any(text in data for text in NEVER_IN_OUTPUTS), f"{preset.name} tells"


def outcome_of(work: Callable[[Path], None], path: Path) -> str:
    """Say what became of a file."""
    try:
        work(path)
    except BadImage as error:
        return error.code
    except BaseException as error:  # noqa: BLE001 - that nothing else comes is what is tried
        return f"unhandled {type(error).__name__}: {error}"
    return "accepted"


def peak() -> int:
    """Return the most memory that was held since the last `forget`, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def forget() -> None:
    """Let the peak begin anew."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def main(role: str) -> None:
    """Answer until there is no more to answer."""
    work = look if role == "probe" else decode
    if role == "decode":
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    for line in sys.stdin:
        forget()
        # Its signal ends the process, and with it whatever a decoder is lost in.
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        began = time.process_time()
        outcome = outcome_of(work, Path(json.loads(line)))
        seconds = time.process_time() - began
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps([outcome, seconds, peak()]), flush=True)  # noqa: T201 - its answer


if __name__ == "__main__":
    main(sys.argv[1])
