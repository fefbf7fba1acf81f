"""What tests of programs that use offload need, and of drivers that are not ours."""

from offload.testing.clock import ManualClock

__all__ = ["ManualClock"]
