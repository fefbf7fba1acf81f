"""The server tells every history as the model tells it."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.store.machine import Histories


class _OnServer(Histories):
    pass


# For many more: python -m tests.store.play --driver postgres.
TestOnServer = pytest.mark.timeout(0)(_OnServer.TestCase)
TestOnServer.settings = settings(settings.default, stateful_step_count=30, max_examples=20)


@pytest.fixture(scope="module", autouse=True)
def driver(postgres_database: str) -> Iterator[None]:
    _OnServer.driver = postgres_database
    yield
    _OnServer.driver = "memory"
