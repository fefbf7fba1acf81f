"""What every store must do, as tests: a driver is right when all of them pass.

A driver's own test module supplies two fixtures and names the suite:

    @pytest.fixture
    def clock() -> ManualClock:
        return ManualClock()

    @pytest.fixture
    async def store(clock: ManualClock) -> AsyncIterator[Store]:
        store = MyStore(clock=clock)
        await store.open()
        yield store
        await store.close()

    class TestMyStore(Conformance):
        pass

It needs pytest and a plugin that runs `async def` tests and fixtures, such as anyio's. Call
`pytest.register_assert_rewrite("offload.testing.conformance")` first for readable failures.
"""

from offload.testing.conformance.dependencies import Feeding, Orphans, Waiting
from offload.testing.conformance.ending import Cancelling, Ending
from offload.testing.conformance.enqueueing import Enqueueing
from offload.testing.conformance.fencing import Fencing
from offload.testing.conformance.hot import Claiming
from offload.testing.conformance.housekeeping import Housekeeping
from offload.testing.conformance.lanes import Intervals, Pausing, Places
from offload.testing.conformance.liveness import Liveness
from offload.testing.conformance.locks import Locking
from offload.testing.conformance.moving import Families, Letters, Packing, Rights
from offload.testing.conformance.reading import Reading, Versions
from offload.testing.conformance.repeating import Replaying, RetryingDead
from offload.testing.conformance.reporting import Logs, Metrics, Parts, Reporting
from offload.testing.conformance.schedules import Defining, Firing
from offload.testing.conformance.unique import Scopes, Unique
from offload.testing.conformance.waking import Waking

__all__ = ["Conformance"]


class Conformance(
    Enqueueing,
    Claiming,
    Unique,
    Scopes,
    Waiting,
    Orphans,
    Feeding,
    Places,
    Intervals,
    Pausing,
    Fencing,
    Ending,
    Cancelling,
    Reporting,
    Parts,
    Logs,
    Metrics,
    RetryingDead,
    Replaying,
    Housekeeping,
    Liveness,
    Defining,
    Firing,
    Locking,
    Reading,
    Versions,
    Waking,
    Packing,
    Families,
    Rights,
    Letters,
):
    """All that the port promises."""
