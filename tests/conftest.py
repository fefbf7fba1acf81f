"""What all tests share."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from offload.testing import ManualClock
from tests.servers import postgres

# The suite is imported from the package, where pytest would not explain a failed assert.
pytest.register_assert_rewrite("offload.testing.conformance")

# CI plays the same histories each time, so that a failure is the change's fault, and does not
# fail because the machine is busy. For more, with a seed and a report: tests/store/play.py.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("ci", patient, derandomize=True)
settings.load_profile("ci")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run async tests on asyncio, the loop that the library is written for."""
    return "asyncio"


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that only the test moves."""
    return ManualClock()


@pytest.fixture(scope="session")
def postgres_database() -> Iterator[str]:
    """Return the URL of a database on a real server, which ends with the tests."""
    with postgres.running() as server, postgres.database(server) as database:
        yield database


@pytest.fixture
def postgres_url(postgres_database: str) -> Iterator[str]:
    """Return the URL of a store of the test's own."""
    with postgres.schema(postgres_database) as url:
        yield url
