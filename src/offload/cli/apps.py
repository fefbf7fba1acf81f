"""`module:queue` to the queue itself."""

import contextlib
import importlib
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, TracebackType

from offload.core.errors import ConfigurationError, OffloadError
from offload.queue import Queue

PACKAGE = Path(__file__).parents[1]


def load_queue(target: str) -> Queue:
    """Import `module:attribute` from the current folder or the path, and return the queue.

    Raises:
        ConfigurationError: the target is malformed, cannot be imported, or is no queue.
    """
    module_name, separator, attribute = target.partition(":")
    if not separator or not attribute or not all(module_name.split(".")):
        raise ConfigurationError(f"--app {target!r}: write module:queue, as in app:queue")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module = _imported(module_name, target)
    found: object = module
    for name in attribute.split("."):
        if not hasattr(found, name):
            there = [key for key, value in vars(module).items() if isinstance(value, Queue)]
            hint = f"; its queues: {', '.join(there)}" if there else ""
            raise ConfigurationError(f"--app {target!r}: {module_name} has no {name!r}{hint}")
        found = getattr(found, name)
    if not isinstance(found, Queue):
        raise ConfigurationError(f"--app {target!r} is a {type(found).__name__}, not a Queue")
    if found.store.capabilities.url is None:
        raise ConfigurationError(
            f"--app {target!r}: {found.url} is there only inside one process, not for this "
            "command: give the queue a file, db_path=…, or a server"
        )
    return found


def _imported(name: str, target: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except OffloadError as error:
        place = _place(error)
        raise ConfigurationError(f"--app {target!r}: {place}: {error}") from None
    except Exception as error:  # noqa: BLE001 - whatever the module raises
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{name}.".startswith(f"{missing}."):
            raise ConfigurationError(f"--app {target!r}: no module {missing!r} here") from None
        # The module is there, and fails by itself: where, only its own lines tell.
        traceback.print_exception(error.with_traceback(_own(error)))
        said = f"{type(error).__name__}: {error}"
        raise ConfigurationError(f"--app {target!r}: {name} cannot be imported: {said}") from None


def _own(error: BaseException) -> TracebackType | None:
    """Return the traceback from the first line of the application on."""
    found = error.__traceback__
    while found is not None and _is_ours(found.tb_frame.f_code.co_filename):
        found = found.tb_next
    return found


def _place(error: BaseException) -> str:
    """Return the last line of the application that led to an error of ours."""
    frames = traceback.extract_tb(error.__traceback__)
    last = [frame for frame in frames if not _is_ours(frame.filename)][-1]
    path = Path(last.filename)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"{shown}, line {last.lineno}"


def _is_ours(file: str) -> bool:
    return "importlib" in file or Path(file).is_relative_to(PACKAGE)


@contextlib.contextmanager
def opened(target: str) -> Iterator[Queue]:
    """Give the queue to a command, and close it at its end.

    Raises:
        ConfigurationError: as `load_queue`.
    """
    queue = load_queue(target)
    try:
        yield queue
    finally:
        queue.close()
