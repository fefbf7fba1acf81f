"""What all tests share."""

import pytest
from hypothesis import HealthCheck, settings

from offload.testing import ManualClock

# The suite is imported from the package, where pytest would not explain a failed assert.
pytest.register_assert_rewrite("offload.testing.conformance")

# CI plays the same histories each time, so that a failure is the change's fault; evidence
# is for a machine with time: pytest --hypothesis-profile=evidence tests/store/test_model.py
# Neither fails because the machine is busy.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("ci", patient, derandomize=True)
settings.register_profile("evidence", patient, max_examples=20_000)
settings.load_profile("ci")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run async tests on asyncio, the loop that the library is written for."""
    return "asyncio"


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that only the test moves."""
    return ManualClock()
