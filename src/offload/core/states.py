"""The life of a job as data; what shows or checks it elsewhere follows `TRANSITIONS`."""

from enum import StrEnum


class State(StrEnum):
    """Where a job stands; the values are the public strings."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    DEAD = "dead"
    CANCELLED = "cancelled"


class Move(StrEnum):
    """What can happen to a job; each arrow of the state machine has one name."""

    CLAIM = "claim"
    COMPLETE = "complete"
    RETRY = "retry"
    RELEASE = "release"
    FAIL = "fail"
    BURY = "bury"
    CANCEL = "cancel"
    EXPIRE = "expire"


TRANSITIONS: dict[tuple[State, Move], State] = {
    (State.PENDING, Move.CLAIM): State.RUNNING,
    (State.PENDING, Move.CANCEL): State.CANCELLED,
    (State.PENDING, Move.EXPIRE): State.CANCELLED,
    (State.RUNNING, Move.COMPLETE): State.COMPLETE,
    (State.RUNNING, Move.RETRY): State.PENDING,
    (State.RUNNING, Move.RELEASE): State.PENDING,
    (State.RUNNING, Move.FAIL): State.FAILED,
    (State.RUNNING, Move.BURY): State.DEAD,
    (State.RUNNING, Move.CANCEL): State.CANCELLED,
}

FINAL: frozenset[State] = frozenset(State) - {source for source, _ in TRANSITIONS}
"""States that nothing leaves: retrying a dead letter or replaying a job inserts a new one."""

LIVE: frozenset[State] = frozenset(State) - FINAL


def target(source: State, move: Move) -> State:
    """Return the state that `move` leads to from `source`.

    Raises:
        ValueError: the state machine has no such arrow.
    """
    try:
        return TRANSITIONS[source, move]
    except KeyError:
        raise ValueError(f"a job that is {source} cannot {move}") from None


def told(move: Move) -> str:
    """Return how a run ended, as users are told: the job's final state, or how it goes on."""
    state = target(State.RUNNING, move)
    return str(state if state in FINAL else move)


def sources(move: Move) -> frozenset[State]:
    """Return the states from which `move` is possible."""
    return frozenset(source for source, taken in TRANSITIONS if taken is move)
