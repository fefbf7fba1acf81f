"""When the ticks of a schedule are due: pure, for instants come in and go out.

Times of day follow the rules of Debian's cron. Where the clocks change by less than three
hours, a job at a fixed time runs exactly once: at the end of the gap if its time is skipped,
at the first of two if its time comes twice. A job whose minute or hour begins with `*` runs
whenever the clock on the wall matches: in a repeated hour again, in a skipped one not at all.

Time zones are the system's. One without any needs `pip install tzdata`, and is told so.
"""

from offload.cron.due import MOST_COUNTED, MOST_TICKS, Due, due, jittered
from offload.cron.expression import Cron
from offload.cron.triggers import Every, Trigger, describe, parse_trigger

__all__ = [
    "MOST_COUNTED",
    "MOST_TICKS",
    "Cron",
    "Due",
    "Every",
    "Trigger",
    "describe",
    "due",
    "jittered",
    "parse_trigger",
]
