"""What tests of programs that use offload need, and of drivers that are not ours."""

from offload.testing.clock import ManualClock
from offload.testing.harness import Harness

__all__ = ["Harness", "ManualClock"]
