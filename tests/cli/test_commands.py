"""The `offload` command, as a person or a program at a terminal meets it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

APP = """
from offload import Queue
queue = Queue(db_path="data/jobs.db", workers=3)

@queue.task
def add(x: int, y: int) -> int:
    return x + y

@queue.task(max_retries=0)
def fail() -> None:
    raise ValueError("boom")
"""
SCRIPTED = """
import os, signal
from offload import Queue
queue = Queue(db_path="data/jobs.db")

@queue.task
def leave() -> None:
    os.kill(os.getppid(), signal.SIGINT)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(APP)
    (tmp_path / "scripted.py").write_text(SCRIPTED)
    (tmp_path / "within.py").write_text("from offload import Queue\nqueue = Queue('memory://')")
    (tmp_path / "needs.py").write_text("import a_library_that_is_not_there")
    (tmp_path / "shops.py").write_text("import shop_")
    (tmp_path / "broken.py").write_text("def oops(:")
    (tmp_path / "typo.py").write_text(f"{APP}\n@queue.task(max_retry=3)\ndef sub(): ...\n")
    return tmp_path


def offload(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "offload", *words],
        cwd=folder, capture_output=True, text=True, timeout=40, check=False,
        env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "OFFLOAD_APP": ""},
    )  # fmt: skip


def enqueue(folder: Path, code: str) -> str:
    """Do something with the application in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", f"import shop, scripted; {code}"],
        cwd=folder, capture_output=True, text=True, timeout=40, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_help_teaches(folder: Path) -> None:
    shown = offload(folder, "--help")
    assert shown.returncode == 0
    assert "worker" in shown.stdout
    assert "info" in shown.stdout
    shown = offload(folder, "worker", "--help")
    assert shown.returncode == 0
    options = ("--app", "--processes", "--concurrency", "--queues", "--max-jobs", "--max-memory")
    for word in (*options, "--grace", "--reload", "--verbose", "SIGTERM"):
        assert word in shown.stdout
    assert "offload worker --app app:queue --concurrency 8" in shown.stdout


def test_nothing_asked_shows_the_help(folder: Path) -> None:
    shown = offload(folder)
    assert "Usage" in shown.stdout + shown.stderr
    assert "Traceback" not in shown.stderr


BAD = [
    ("shop", "write module:queue, as in app:queue"),
    (":queue", "write module:queue, as in app:queue"),
    ("shop:", "write module:queue, as in app:queue"),
    ("shopp:queue", "no module 'shopp' here"),
    ("shop.inner:queue", "no module 'shop.inner' here"),
    ("shop:quue", "shop has no 'quue'; its queues: queue"),
    ("shop:queue.tasks.quue", "shop has no 'quue'"),
    ("within:queue", "is there only inside one process"),
    ("shop:queue.tasks", "is a Registry, not a Queue"),
    ("shop:add", "is a Task, not a Queue"),
    (".shop:queue", "--app '.shop:queue'"),
    ("[/b]shop:queue", "--app '[/b]shop:queue'"),
    (f"{'very_' * 30}long:queue", "here"),
]


@pytest.mark.parametrize(("app", "message"), BAD, ids=[app[:20] for app, _ in BAD])
def test_a_bad_app_is_one_readable_line(folder: Path, app: str, message: str) -> None:
    done = offload(folder, "worker", "--app", app)
    assert done.returncode == 1
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("offload: ")
    assert message in line
    assert not (folder / "data").exists()


def test_a_module_that_fails_by_itself_shows_where(folder: Path) -> None:
    """That is no mistake in `--app`, and hiding the traceback would not help."""
    done = offload(folder, "worker", "--app", "needs:queue")
    assert done.returncode == 1
    assert "No module named 'a_library_that_is_not_there'" in done.stderr
    assert "needs.py" in done.stderr


@pytest.mark.parametrize(
    ("app", "error"),
    [
        ("needs:queue", "ModuleNotFoundError: No module named 'a_library_that_is_not_there'"),
        ("shops:queue", "ModuleNotFoundError: No module named 'shop_'"),
        ("broken:queue", "SyntaxError: invalid syntax"),
    ],
)
def test_what_it_shows_is_the_module_s_own(folder: Path, app: str, error: str) -> None:
    """Neither how modules are imported nor our own lines; and the last line says it all."""
    done = offload(folder, "info", "--app", app)
    module = app.split(":", maxsplit=1)[0]
    assert done.returncode == 1
    assert f'{module}.py", line 1' in done.stderr
    assert "importlib" not in done.stderr
    assert "offload/cli" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(
        f"offload: --app '{app}': {module} cannot be imported: {error}"
    )


def test_a_wrong_option_in_the_module_is_one_line_that_says_where(folder: Path) -> None:
    done = offload(folder, "info", "--app", "typo:queue")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    place = APP.count("\n") + 2
    assert line.startswith(
        f"offload: --app 'typo:queue': typo.py, line {place}: unknown option 'max_retry'; there are"
    )


@pytest.mark.parametrize(
    "words",
    [
        ["worker"],
        ["worker", "--app", "shop:queue", "--concurrency", "0"],
        ["worker", "--app", "shop:queue", "--grace", "-1"],
        ["worker", "--app", "shop:queue", "--queues", " ,"],
        ["wrker"],
        ["info", "--app", "shop:queue", "--jsn"],
    ],
)
def test_wrong_usage_is_exit_code_2(folder: Path, words: list[str]) -> None:
    done = offload(folder, *words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_store_that_cannot_be_opened_is_one_readable_line(folder: Path) -> None:
    (folder / "data").write_text("a file where a folder should be")
    for command in ("worker", "info"):
        done = offload(folder, command, "--app", "shop:queue")
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert done.stderr.splitlines()[-1].startswith("offload: ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_runs_jobs_until_it_is_asked_to_stop(folder: Path, number: int) -> None:
    code = "shop.fail.delay(); print(shop.add.delay(2, 3).id)"
    job = enqueue(folder, code)
    command = [sys.executable, "-m", "offload", "worker", "-A", "shop:queue", "-v"]
    worker = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    try:
        read = f"print(shop.queue.get_job({job!r}).result(timeout=30))"
        assert enqueue(folder, read) == "5"
        shown = json.loads(offload(folder, "info", "-A", "shop:queue", "--json").stdout)
        [row] = shown["workers"]
        assert (row["pid"], row["alive"]) == (worker.pid, True)
        worker.send_signal(number)
        _, log = worker.communicate(timeout=30)
    finally:
        worker.kill()
        worker.wait()
    assert worker.returncode == 0
    assert "serving data/jobs.db with the tasks shop.add, shop.fail" in log
    assert "ValueError: boom" in log
    assert "Traceback" not in log


def test_only_named_queues_are_served(folder: Path) -> None:
    enqueue(folder, "shop.add.delay(1, 2); scripted.leave.apply_async(queue='b')")
    done = offload(folder, "worker", "-A", "scripted:queue", "-Q", "a, b")
    assert done.returncode == 0
    stats = json.loads(offload(folder, "info", "-A", "shop:queue", "--json").stdout)["jobs"]
    assert (stats["pending"], stats["completed"]) == (1, 1)


def test_reload_starts_the_worker_anew_when_the_code_changes(folder: Path) -> None:
    """A syntax error only waits for the next change."""
    command = [sys.executable, "-m", "offload", "worker", "-A", "shop:queue", "--reload"]
    worker = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    assert worker.stderr is not None
    log = worker.stderr
    app = folder / "shop.py"
    try:
        heard_until(log, "is ready")
        app.write_text(APP + "\nthis is no Python\n")
        heard_until(log, "SyntaxError")
        app.write_text(APP.replace("x + y", "x * y"))
        heard_until(log, "is ready")
        read = "print(shop.add.delay(2, 3).result(timeout=30))"
        assert enqueue(folder, read) == "6"
        worker.send_signal(signal.SIGINT)
        rest = log.read()
        assert worker.wait(30) == 0
    finally:
        worker.kill()
        worker.wait()
        log.close()
    assert "Traceback" not in rest


def heard_until(log: IO[str], word: str) -> None:
    """Read the log up to a line with this word; pytest's own limit ends a vain wait."""
    for line in log:
        if word in line:
            return
    pytest.fail(f"the log ended without {word!r}")


@pytest.mark.parametrize("size", ["0", "much", "-1MB", "1.5GB"])
def test_a_wrong_size_is_named(folder: Path, size: str) -> None:
    done = offload(folder, "worker", "-A", "shop:queue", f"--max-memory={size}")
    assert done.returncode == 2
    assert "512MB" in done.stderr
