"""Request tasks without a web framework."""

import pytest

from offload.inproc.app import AppTasks
from offload.inproc.options import RunnerOptions


@pytest.fixture
def tasks() -> AppTasks:
    return AppTasks()


@pytest.fixture
def small() -> AppTasks:
    """Return tasks that have one slot of each kind, and room for one more that waits."""
    return AppTasks(RunnerOptions(max_concurrency=1, max_threads=1, max_pending=1))
