"""What becomes of a request task: its states, and whether the request's outcome lets it run."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from offload.core.errors import Abort, Retry
from offload.core.retry import RetryPolicy


class RequestStatus(StrEnum):
    """Where a request task stands."""

    final: bool
    """Whether nothing follows. An attribute, for it is asked several times for each task."""

    PENDING = "pending"
    RUNNING = "running"
    RETRYING = "retrying"
    """An attempt has failed, and the next one waits for its time."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DROPPED = "dropped"
    """The outcome of its request said that it is not to run."""
    REJECTED = "rejected"
    """There was no room for it."""
    ENQUEUED = "enqueued"
    """It is a job of a queue now, as was asked."""
    SPILLED = "spilled"
    """It is a job of a queue now, because this process had no room or no time for it."""

    def __init__(self, word: str) -> None:
        """Work out once what follows."""
        self.final = word not in {"pending", "running", "retrying"}


class Mode(StrEnum):
    """When a request task starts."""

    NOW = "now"
    AFTER_ROUTE = "after_route"
    """When the response is made, before any of it is sent."""
    AFTER_RESPONSE = "after_response"
    """When all of it is sent, and all dependencies are closed."""
    ON_COMMIT = "on_commit"
    """When a database session has committed."""


class When(StrEnum):
    """After which outcome of the request a task that waits for it runs."""

    RETURNED = "returned"
    """Neither the endpoint nor a dependency raised before the response started."""
    SUCCESS = "success"
    """As `returned`, and the status is below 400, and nothing failed afterwards."""
    ERROR = "error"
    """When `success` does not hold."""
    ALWAYS = "always"
    """Whatever happened."""


class Overflow(StrEnum):
    """What happens to a request task for which there is no room."""

    REJECT = "reject"
    """The call raises; the client is answered 503 with Retry-After."""
    WAIT = "wait"
    """Requests wait for room before their endpoint begins."""
    SPILL = "spill"
    """It becomes a job if its function is a queue task; else as `reject`."""


class Overlap(StrEnum):
    """What a tick does while the run of an earlier one has not ended."""

    SKIP = "skip"
    QUEUE = "queue"
    """One more run follows, however many ticks pass meanwhile."""
    ALLOW = "allow"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request went, as far as it is known."""

    raised: str | None = None
    """What the endpoint or a dependency raised before the response started."""
    status: int | None = None
    """The response's; None for a websocket."""
    failed: str | None = None
    """What went wrong after the response had started; not that the client left."""

    @property
    def returned(self) -> bool:
        """Whether the endpoint ended with a response, or a websocket's without an error."""
        return self.raised is None

    @property
    def success(self) -> bool:
        """Whether all that is known went well."""
        return self.returned and (self.status or 0) < 400 and self.failed is None  # noqa: PLR2004 - HTTP's errors


def drop_reason(when: When, outcome: Outcome) -> str | None:
    """Return why a task does not run after this outcome; None if it does."""
    if when is When.ALWAYS or (when is When.ERROR and not outcome.success):
        return None
    if when is not When.ERROR and (outcome.success or (when is When.RETURNED and outcome.returned)):
        return None
    what = outcome.raised or outcome.failed
    return f"when={when}: " + (f"the request raised {what}" if what else f"status {outcome.status}")


def retry_delay(
    policy: RetryPolicy | None,
    retry_on: tuple[type[BaseException], ...] | None,
    error: BaseException,
    attempt: int,
    rng: Callable[[], float],
) -> float | None:
    """Return the seconds to wait after attempt number `attempt` failed; None: it was the last."""
    asked = isinstance(error, Retry)
    policy = policy or (RetryPolicy() if asked else None)
    if policy is None or attempt > policy.max_retries or not isinstance(error, Exception):
        return None
    if isinstance(error, Abort) or not (asked or retry_on is None or isinstance(error, retry_on)):
        return None
    if isinstance(error, Retry) and error.delay is not None:
        return error.delay
    return policy.delay(attempt, rng)
