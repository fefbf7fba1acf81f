"""What requests go through on a real server, plain and dressed in other people's middleware."""

import contextlib
import logging
import queue
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.fastapi.served.stage import DATABASE, SCHEMA, Stage, dressed
from tests.fastapi.serving import served

PLAIN = ["plain", "asgi", "mounted", "sub_app"]
BASE = ["base before", "base after"]
"""These pass a response on in a task of their own, so they may do so later."""

FINE = {"now", "after_route", "after_response", "success"}
FAILED = {"now", "error"}


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with contextlib.closing(sqlite3.connect(DATABASE)) as connection:
        connection.executescript(SCHEMA)


@pytest.fixture(params=PLAIN + BASE)
def client(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    # After an error the server hangs up, so each request has a connection of its own.
    alone = httpx.Limits(max_keepalive_connections=0)
    with (
        served(dressed(Stage(), request.param), ws="websockets-sansio") as address,
        httpx.Client(base_url=address, timeout=30, limits=alone) as client,
    ):
        yield client


def tasks_of(client: httpx.Client) -> set[str]:
    """Return which tasks have run; each of the others was dropped."""
    told = client.get("/told").json()
    names = {"now", "after_route", "after_response", "success", "error"}
    ran = [event for event in told["events"] if event in names]
    assert len(ran) == len(set(ran)), "none ran twice"
    assert sorted(told["ends"]) == sorted(
        ["succeeded"] * len(ran) + ["dropped"] * (len(told["ends"]) - len(ran))
    )
    return set(ran)


@pytest.mark.parametrize("client", PLAIN, indirect=True)
def test_each_mode_has_its_place(client: httpx.Client) -> None:
    assert client.get("/plain").status_code == 200
    assert tasks_of(client) == FINE
    events = client.get("/told").json()["events"]
    assert events[:4] == ["now", "after_route", "start", "end"]


@pytest.mark.parametrize("client", BASE, indirect=True)
def test_other_middleware_may_send_later(client: httpx.Client) -> None:
    assert client.get("/plain").status_code == 200
    assert tasks_of(client) == FINE
    events = client.get("/told").json()["events"]
    assert events[:3] == ["now", "after_route", "start"]


@pytest.mark.parametrize("client", PLAIN, indirect=True)
def test_a_stream_has_tasks_around_it(client: httpx.Client) -> None:
    assert client.get("/stream").content == b"part" * 3
    assert tasks_of(client) == FINE
    events = client.get("/told").json()["events"]
    assert events[:2] == ["now", "after_route"]
    assert events.index("end") < events.index("after_response")
    assert max(n for n, event in enumerate(events) if event == "part") < events.index("end")


def test_what_raises_first_schedules_nothing(client: httpx.Client) -> None:
    assert client.get("/raises/before").status_code == 418
    assert tasks_of(client) == set()


def test_what_raises_afterwards_drops_what_waits(client: httpx.Client) -> None:
    assert client.get("/raises/after").status_code == 418
    assert tasks_of(client) == FAILED


def test_a_client_that_leaves_takes_no_task_with_it(client: httpx.Client) -> None:
    with contextlib.closing(_raw(client, "/gone")):
        client.get("/inside")
    assert tasks_of(client) == FINE


def test_a_client_that_leaves_a_stream_is_no_failure(client: httpx.Client) -> None:
    with contextlib.closing(_raw(client, "/endless")) as leaving:
        assert leaving.recv(1)
    assert tasks_of(client) == FINE


# --- errors that the server tells of, which the other tests must not have ----------------


class Told(logging.Filter):
    """Takes the errors that a server tells of, for they are expected."""

    def __init__(self) -> None:
        super().__init__()
        self._records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.ERROR:
            return True
        self._records.put(record)
        return False

    def error(self) -> str:
        """Return the kind of the next one, once it was told."""
        (kind, _, _) = self._records.get(timeout=30).exc_info or (None, None, None)
        return kind.__name__ if kind else "none"


@pytest.fixture
def told() -> Iterator[Told]:
    told = Told()
    logging.getLogger("uvicorn.error").addFilter(told)
    yield told
    logging.getLogger("uvicorn.error").removeFilter(told)


def test_a_crash_drops_what_waits(client: httpx.Client, told: Told) -> None:
    assert client.get("/raises/crash").status_code == 500
    assert tasks_of(client) == FAILED
    assert told.error() == "RuntimeError"


def test_a_commit_that_fails_before_the_response_fails_the_request(
    client: httpx.Client, told: Told
) -> None:
    assert client.get("/early").status_code == 500
    assert tasks_of(client) == FAILED
    assert told.error() == "IntegrityError"


def test_a_commit_that_fails_after_the_response_is_no_success(
    client: httpx.Client, told: Told
) -> None:
    assert client.get("/late").status_code == 200
    assert tasks_of(client) == {"now", "after_route", "after_response", "error"}
    assert told.error() == "IntegrityError"


# --- websockets --------------------------------------------------------------------------


def test_a_websocket_has_tasks_too(client: httpx.Client) -> None:
    with connect(_socket(client)) as socket:
        socket.send("return")
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=30)
    assert tasks_of(client) == FINE


def test_a_websocket_that_its_client_leaves_is_no_failure(client: httpx.Client, told: Told) -> None:
    with connect(_socket(client)):
        pass
    assert tasks_of(client) == FINE
    assert told.error() == "WebSocketDisconnect", "nobody has caught it, so the server tells"


def test_a_websocket_that_crashes_drops_what_waits(client: httpx.Client, told: Told) -> None:
    with connect(_socket(client)) as socket:
        socket.send("break")
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=30)
    assert tasks_of(client) == FAILED
    assert told.error() == "RuntimeError"


def _socket(client: httpx.Client) -> str:
    return f"ws://{client.base_url.host}:{client.base_url.port}/socket"


def _raw(client: httpx.Client, path: str) -> socket.socket:
    """Make a request, and leave its answer to the caller."""
    request = socket.create_connection((client.base_url.host, client.base_url.port or 80))
    request.sendall(f"GET {path} HTTP/1.1\r\nhost: test\r\n\r\n".encode())
    return request
