"""Runs the Python blocks of a page, as a reader would type them, one after the other.

    python -m tests.docs.pages PAGE.md

The blocks of a page share one module, `app`, whose file is made of them, so that processes can
import its tasks. `<!-- worker -->` before a block starts a worker on the page's `queue` first;
`<!-- skip: why -->` leaves one out. A block may await.
"""

import ast
import asyncio
import contextlib
import inspect
import re
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

BLOCK = re.compile(
    r"^(?:<!-- (?P<note>.+?) -->\n+)?```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A piece of Python on a page, and where it starts."""

    code: str
    line: int
    note: str

    @property
    def is_skipped(self) -> bool:
        """Whether the page says why it cannot be run."""
        return self.note.startswith("skip:")


def blocks(page: str) -> list[Block]:
    """Return the Python blocks of a page."""
    return [
        Block(found["code"], page.count("\n", 0, found.start("code")), found["note"] or "")
        for found in BLOCK.finditer(page)
    ]


@contextlib.contextmanager
def working(module: ModuleType) -> Iterator[None]:
    """Run a worker on the module's queue, beside the blocks, which have the main thread."""
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    run = module.queue.arun_worker(stop, grace=5.0, install_signals=False)
    thread = threading.Thread(target=loop.run_until_complete, args=(run,))
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def play(path: Path) -> int:
    """Run the page and return how many blocks were run."""
    found = [block for block in blocks(path.read_text(encoding="utf-8")) if not block.is_skipped]
    module = ModuleType("app")
    module.__file__ = str(Path.cwd() / "app.py")
    sys.modules["app"] = module
    with contextlib.ExitStack() as stack:
        has_worker = False
        for block in found:
            if block.note == "worker" and not has_worker:
                stack.enter_context(working(module))
                has_worker = True
            _execute(block, path, module)
    return len(found)


def _execute(block: Block, path: Path, module: ModuleType) -> None:
    with Path("app.py").open("a", encoding="utf-8") as file:
        file.write(block.code)
    # As many empty lines before it as the page has, so that a traceback names the page's line.
    text = "\n" * block.line + block.code
    code = compile(text, str(path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    ended = eval(code, module.__dict__)
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(ended)


if __name__ == "__main__":
    sys.stdout.write(f"{play(Path(sys.argv[1]))} blocks\n")
