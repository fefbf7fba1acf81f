"""The kit on the program's queue."""

from collections.abc import Iterator

import pytest

from offload.testing import Harness
from tests.testing.program import DONE, queue


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    DONE.clear()


@pytest.fixture
def kit() -> Iterator[Harness]:
    with Harness(queue) as kit:
        yield kit


@pytest.fixture
def eager() -> Iterator[Harness]:
    with Harness(queue, eager=True) as kit:
        yield kit
