"""Request tasks that wait for a database session to commit (SQLAlchemy)."""

import sys
import weakref
from collections.abc import Callable
from typing import Any

from offload.core.errors import ConfigurationError
from offload.core.request import Mode
from offload.inproc.call import Call
from offload.inproc.handover import promise
from offload.inproc.scheduler import Scheduler
from offload.inproc.task import RequestTask

Place = Callable[[RequestTask[Any]], None]
Admit = Callable[[Call, Place], RequestTask[Any]]
Drop = Callable[[RequestTask[Any], str], None]


class Commits:
    """The tasks of one request that wait for a commit.

    They live in this process: one that dies between the commit and the task loses the task. Not
    so those of a queue: where the database is an outbox of it, the commit brings their jobs along.
    """

    def __init__(self, admit: Admit, fire: Place, drop: Drop) -> None:
        """Take tasks in with `admit`; then either `fire` or `drop` each."""
        self._admit = admit
        self._fire = fire
        self._drop = drop
        self._sessions: weakref.WeakKeyDictionary[Any, _Waiting] = weakref.WeakKeyDictionary()

    def scheduler(self, session: Any) -> Scheduler:
        """Return what schedules tasks that start when `session` has committed.

        Raises:
            ConfigurationError: it is no SQLAlchemy session.
        """
        real = _session(session)
        if real not in self._sessions:
            self._sessions[real] = _Waiting(real, self._admit, self._fire, self._drop)
        return Scheduler(self._sessions[real], Mode.ON_COMMIT)

    def end(self) -> None:
        """Drop what still waits: the request is over."""
        for waiting in self._sessions.values():
            waiting.drop("the request ended and its session had not committed")
            waiting.close()
        # A task that outlives the request may still have a session of its own.
        self._sessions.clear()


class _Waiting:
    """The tasks that wait for one session, each with the transaction that it was scheduled in."""

    def __init__(self, session: Any, admit: Admit, fire: Place, drop: Drop) -> None:
        """Listen to the session for as long as it is there."""
        from sqlalchemy import event  # noqa: PLC0415 - there if the session is

        self._session = weakref.ref(session)
        self._admit = admit
        self._fire = fire
        self._drop = drop
        self._tasks: list[tuple[RequestTask[Any], Any]] = []
        self._heard: dict[str, Callable[..., Any]] = {
            "before_commit": self._committing,
            "after_commit": self._committed,
            "after_soft_rollback": self._undone,
            "after_transaction_end": self._ended,
        }
        for name, call in self._heard.items():
            event.listen(session, name, call)

    def close(self) -> None:
        """Listen no more; a session may be used for longer than a request."""
        from sqlalchemy import event  # noqa: PLC0415 - as above

        if (session := self._session()) is not None:
            for name, call in self._heard.items():
                event.remove(session, name, call)

    def take(self, call: Call) -> RequestTask[Any]:
        """See `Taker.take`."""
        return self._admit(call, self._place)

    def _place(self, task: RequestTask[Any]) -> None:
        session: Any = self._session()
        transaction = session.get_nested_transaction() or session.get_transaction()
        self._tasks.append((task, transaction))

    def drop(self, reason: str) -> None:
        """Drop all that wait."""
        tasks, self._tasks = self._tasks, []
        for task, _ in tasks:
            self._drop(task, reason)

    def _committing(self, session: Any) -> None:
        if session.in_nested_transaction():
            return
        for task, _ in self._tasks:
            if task.leaves:
                promise(task, session)

    def _committed(self, session: Any) -> None:
        # The release of a savepoint is told as a commit, too, and may still be undone.
        if session.in_nested_transaction():
            return
        tasks, self._tasks = self._tasks, []
        for task, _ in tasks:
            self._fire(task)

    def _undone(self, _session: Any, ended: Any) -> None:
        undone = [task for task, inside in self._tasks if _is_within(inside, ended)]
        self._tasks = [each for each in self._tasks if each[0] not in undone]
        for task in undone:
            self._drop(task, "its savepoint was rolled back")

    def _ended(self, _session: Any, transaction: Any) -> None:
        # Rolled back, or closed, which tells of no rollback.
        if transaction.parent is None:
            self.drop("its database transaction ended without a commit")


def _is_within(transaction: Any, outer: Any) -> bool:
    """Whether a transaction is `outer` or within it; one that had not begun is within none."""
    while transaction is not None:
        if transaction is outer:
            return True
        transaction = transaction.parent
    return False


def _session(session: Any) -> Any:
    """Return the session that events are about: an AsyncSession has one inside."""
    real = getattr(session, "sync_session", session)
    # Whoever has a session has imported this.
    orm = sys.modules.get("sqlalchemy.orm")
    if orm is not None and isinstance(real, orm.scoped_session):
        real = real()
    if orm is None or not isinstance(real, orm.Session):
        raise ConfigurationError(
            f"on_commit({session!r}): must be a Session or an AsyncSession of SQLAlchemy"
        )
    return real
