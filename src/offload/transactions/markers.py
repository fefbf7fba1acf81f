"""Blocks that take effect once, however often their job runs."""

import secrets
import time
from types import TracebackType
from typing import Any, Self

from offload.codec import Signature
from offload.core.errors import ConfigurationError
from offload.transactions.links import Link, at_once, linked
from offload.transactions.statements import MARKERS, create_within, is_mysql, statements


class Once:
    """`with current_job.transaction(connection) as first:`; it is true in the first run alone.

    The block ends the connection's transaction: it commits, or rolls back if the block raised or
    an earlier run of the job has done it already. So whatever the block writes through the
    connection happens once, with the marker that says so. Use `async with` for a connection that
    is asynchronous.
    """

    def __init__(
        self, connection: object, job_id: str, lease: int, step: str, signature: Signature
    ) -> None:
        """Prepare the block `step` of a job.

        Raises:
            ConfigurationError: the connection is of no library that is known here.
        """
        self._link: Link = linked(connection)
        self._sql = statements(self._link.dialect)
        self._values = {"job_id": job_id, "step": step}
        self._mine = {"run": secrets.token_hex(8), "lease": lease}
        self._signature = signature
        self._is_first = False
        self.result: Any = None
        """What the task is going to return. Set it in the first run: it is kept with the marker,
        and in every later run it is there to be returned again."""

    def __bool__(self) -> bool:
        """Whether no earlier run of the job has done this block."""
        return self._is_first

    def __enter__(self) -> Self:
        if self._link.is_async:
            raise ConfigurationError(f"{self._link.dialect}: this connection needs `async with`")
        at_once(self._begin())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        at_once(self._end(has_failed=error is not None))

    async def __aenter__(self) -> Self:
        await self._begin()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._end(has_failed=error is not None)

    async def _begin(self) -> None:
        try:
            await self._mark()
        except BaseException:
            await self._link.rollback()
            raise

    async def _mark(self) -> None:
        """Write the marker, or find the one that is there: of two at once, one waits here."""
        link, sql = self._link, self._sql
        await link.begin()
        await create_within(link, "create_markers", MARKERS)
        now = time.time_ns() // 1_000_000
        values = {**self._values, **self._mine, "created_at": now}
        await link.fetch(sql["mark_in_mysql" if is_mysql(link.dialect) else "mark"], values)
        [(run, result)] = await link.fetch(sql["marker"], self._values)
        self._is_first = run == self._mine["run"]
        if result is not None:
            self.result = self._signature.decode_result(result.encode())

    async def _end(self, *, has_failed: bool) -> None:
        if has_failed or not self._is_first:
            await self._link.rollback()
            return
        try:
            if self.result is not None:
                result = self._signature.encode_result(self.result).decode()
                await self._link.fetch(self._sql["keep_result"], {**self._values, "result": result})
            await self._link.commit()
        except BaseException:
            await self._link.rollback()
            raise
