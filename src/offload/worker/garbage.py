"""How often the processes of the command look for garbage."""

import gc

EVERY = 10_000
"""Objects that may come to be, more than go, between two looks."""


def look_seldom() -> None:
    """Look for cycles less often than Python does.

    Short jobs make objects by the thousand, hardly ever a cycle, and each look walks over the jobs
    that wait. An application may set what it likes better as it is imported.
    """
    gc.set_threshold(EVERY)
