"""The server tells every history as the model tells it."""

import pytest
from hypothesis import settings

from tests.store.machine import Histories
from tests.store.pair import Pair


class _OnServer(Histories):
    driver = "postgres"


# For many more: python -m tests.store.play --driver postgres.
TestOnServer = pytest.mark.timeout(0)(_OnServer.TestCase)
TestOnServer.settings = settings(settings.default, stateful_step_count=30, max_examples=20)


@pytest.fixture(scope="module", autouse=True)
def server(postgres_database: str) -> None:
    Pair.server = postgres_database
