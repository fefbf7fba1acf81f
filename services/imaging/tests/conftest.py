"""A running service for the tests that speak HTTP with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.imaging.tests import pictures
from services.imaging.tests.running import Running
from tests.servers import postgres, seaweed, valkey
from tests.servers.seaweed import S3


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One web process with its worker inside, shared by all tests that leave it alive."""
    with Running(tmp_path_factory.mktemp("imaging")) as running:
        running.start()
        yield running


@pytest.fixture
def own_service(tmp_path: Path) -> Iterator[Running]:
    """A service of this test's own, not started yet: it may be killed."""
    with Running(tmp_path / "imaging") as running:
        yield running


@pytest.fixture
def photograph() -> bytes:
    return pictures.photograph()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    """A real S3 server, which ends with the tests."""
    with seaweed.running() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    with valkey.running() as url:
        yield url


@pytest.fixture
def redis_url(redis_server: str) -> str:
    return valkey.fresh(redis_server)


@pytest.fixture
def postgres_url() -> Iterator[str]:
    with postgres.running() as server, postgres.database(server) as database:
        yield database
