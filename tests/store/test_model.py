"""The file tells every history as the model tells it."""

import pytest
from hypothesis import settings

from tests.store.machine import Histories

# 400 histories of 50 steps: 20,000.
TestHistories = pytest.mark.timeout(0)(Histories.TestCase)
TestHistories.settings = settings(settings.default, stateful_step_count=50, max_examples=400)
