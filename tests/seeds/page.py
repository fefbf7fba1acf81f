"""Runs the code of a page as it stands there, in a world that has what the page leaves out.

Only import lines change; the tables say how. The page's hosts are stand-ins on this machine: what
it sends goes over HTTP, to a server, which `examples/standins.py` describes.
"""

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from types import ModuleType
from typing import Any

import httpx
from fastapi import UploadFile

from tests.seeds.reading import HERE, codes

IMPORTS = {
    "from fastapi_tasks import": "from offload.fastapi import",
    "from fastapi import BackgroundTasks, FastAPI\n": (
        "from fastapi import FastAPI; from offload.fastapi import BackgroundTasks\n"
    ),
    "from fastapi import Depends, BackgroundTasks\n": (
        "from fastapi import Depends; from offload.fastapi import BackgroundTasks\n"
    ),
}
HOSTS = {
    "api.payment-gateway.com": "payment",
    "api.email-service.com": "email",
    "warehouse-api.internal": "warehouse",
    "analytics.internal": "analytics",
    "analytics.example.com": "analytics",
    "cdn-api.example.com": "cdn",
    "chat.internal": "chat",
}
COMMIT = "commit"


def run(seed: str, *starts: str, **given: Any) -> ModuleType:
    """Return a module made of the page's blocks with these first lines, and of what is given."""
    module = ModuleType(f"seed_{seed}")
    vars(module).update(given)
    blocks = {block.lines[0]: block for block in codes(seed)}
    for start in starts:
        text = "\n".join(blocks[start].lines) + "\n"
        for theirs, ours in IMPORTS.items():
            text = text.replace(theirs, ours)
        # As many empty lines before it as the page has, so that a traceback names the page's line.
        lines = "\n" * blocks[start].start
        exec(compile(lines + text, HERE / f"{seed}.txt", "exec"), vars(module))
    return module


class Done(int):
    """What a statement gives back: the id of the new row, which also knows how many changed."""

    rowcount: int


class Database:
    """The interface that the pages use, on SQLite in memory. A commit takes many steps."""

    def __init__(self, log: list[str], schema: str) -> None:
        self._log = log
        self._db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.executescript(schema)

    async def execute(self, sql: str, *values: Any) -> Done:
        cursor = self._run(sql, values)
        done = Done(cursor.lastrowid or 0)
        done.rowcount = cursor.rowcount
        return done

    async def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        self._db.executemany(sql, rows)

    async def fetchone(self, sql: str, *values: Any) -> Any:
        return self._run(sql, values).fetchone()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        # As a slow disk would: a response that does not wait for it is sent long before.
        for _ in range(100):
            await asyncio.sleep(0)
        self._db.execute("COMMIT")
        self._log.append(COMMIT)

    async def delete_user(self, user_id: int) -> None:
        self._run("DELETE FROM users WHERE id = ?", (user_id,))

    def all(self, sql: str) -> list[dict[str, Any]]:
        return [dict(row) for row in self._db.execute(sql)]

    def close(self) -> None:
        self._db.close()

    def _run(self, sql: str, values: Sequence[Any]) -> sqlite3.Cursor:
        # PostgreSQL's parameters; and times, which text compares as well.
        plain = [str(value) if isinstance(value, datetime) else value for value in values]
        return self._db.execute(re.sub(r"\$(\d)", r"?\1", sql), plain)


class Network:
    """Leads the hosts of a page to the stand-ins, and notes each call that is begun."""

    def __init__(self, url: str, closed: str, log: list[str]) -> None:
        self.url = url
        self.down: dict[str, int] = {}
        """How many of its next calls find a service away: their port is closed."""
        self._closed = closed
        self._log = log
        self._client = httpx.AsyncClient

    def client(self) -> httpx.AsyncClient:
        """Stand in for `httpx.AsyncClient()`."""
        return self._client(transport=_Routed(self))

    def lead(self, url: httpx.URL) -> httpx.URL:
        service = HOSTS[url.host]
        self._log.append(service)
        self.down[service] = self.down.get(service, 0) - 1
        base = httpx.URL(self._closed if self.down[service] >= 0 else self.url)
        return base.copy_with(path=f"/{service}{url.path}")


class _Routed(httpx.AsyncHTTPTransport):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network = network

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.url = self._network.lead(request.url)
        return await super().handle_async_request(request)


async def send_slack_alert(text: str) -> None:
    async with httpx.AsyncClient() as client:
        await client.post("https://chat.internal/alert", json={"text": text})


def left_out_of_002(db: Database) -> dict[str, Any]:
    """Return the names that the page uses and does not define."""
    return {
        "db": db,
        "json": json,
        "UploadFile": UploadFile,
        "send_slack_alert": send_slack_alert,
    }
