"""What each process has no need of, it does not load."""

import subprocess
import sys


def loaded(statement: str) -> set[str]:
    """Name the packages that a new interpreter has loaded after this."""
    script = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    command = [sys.executable, "-c", script]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def test_a_worker_loads_nothing_of_http() -> None:
    assert not {"fastapi", "starlette", "uvicorn"} & loaded("import imaging.work")


def test_a_worker_has_all_tasks_and_schedules_of_the_application() -> None:
    names = "print(*sorted(task.name for task in queue.tasks))"
    told = [
        subprocess.run(
            [sys.executable, "-c", f"from imaging.{module} import queue\n{names}"],
            check=True, capture_output=True, text=True,
        ).stdout.split()
        for module in ("work", "app")
    ]  # fmt: skip
    assert told[0] == told[1] != []
