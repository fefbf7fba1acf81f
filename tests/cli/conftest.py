"""A folder with an application, and a terminal of 80 columns in it."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.terminal import Terminal

APP = """
from offload import Queue, current_job

queue = Queue(db_path="data/jobs.db")

@queue.task
def add(x: int, y: int) -> int:
    current_job.log("adding", x=x)
    current_job.publish({"sum": x + y})
    return x + y

@queue.task(max_retries=0)
def fail() -> None:
    raise ValueError("[bold]boom[/]: \\x1b[31m" + "on and on " * 20)

@queue.task
def a_task_with_a_name_that_is_much_too_long_for_a_narrow_terminal() -> None: ...

@queue.periodic(cron="0 9 * * MON-FRI", tz="Europe/Berlin")
def report() -> None: ...
"""


@pytest.fixture
def terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Terminal]:
    (tmp_path / "market.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("OFFLOAD_APP", "market:queue")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    sys.modules.pop("market", None)
    module = importlib.import_module("market")
    yield Terminal(module, tmp_path, monkeypatch, capsys)
    module.queue.close()
    sys.modules.pop("market")
