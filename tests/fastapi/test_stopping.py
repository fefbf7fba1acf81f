"""Open streams and long polls end when the server is asked to stop."""

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

import httpx
import pytest
from fastapi import FastAPI

from offload import Queue
from offload.fastapi import QueueRouter
from offload.fastapi.stopping import SIGNALS, STOPPING, Stopping
from tests.fastapi.serving import events

APPS = ["bare", "own_lifespan", "with_worker", "mounted"]
PATIENCE = 30
"""Seconds after which a server counts as hanging; it takes well under one to stop."""


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `python -m uvicorn` on one of the applications in `stop_app.py`, on any free port."""
    app = f"stop_app:{request.param}"
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", app, "--app-dir", Path(__file__).parent, "--port", "0"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.wait()
    assert process.stderr is not None
    process.stderr.close()


def address_of(server: subprocess.Popen[str]) -> str:
    """Return where the server says that it runs."""
    assert server.stderr is not None
    said = []
    for line in server.stderr:
        if "running on " in line:
            return line.split("running on ")[1].split()[0]
        said.append(line)
    raise AssertionError("".join(said))


@pytest.mark.parametrize("server", APPS, indirect=True)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_with_an_open_stream_stops(
    server: subprocess.Popen[str], number: signal.Signals
) -> None:
    with httpx.Client(base_url=address_of(server), timeout=PATIENCE) as client:
        job_id = client.post("/enqueue").json()
        with client.stream("GET", f"/tasks/jobs/{job_id}/progress") as response:
            stream = events(response)
            assert next(stream).status == "pending"
            server.send_signal(number)
            assert list(stream) == []
    # uvicorn raises the signal once more when it has shut down, so that is what it died of.
    code = server.wait(PATIENCE)
    assert code in {0, -number}
    assert server.stderr is not None
    assert "Application shutdown complete" in server.stderr.read()


@pytest.mark.parametrize("server", ["bare"], indirect=True)
def test_a_server_with_a_waiting_client_stops_and_answers_it(
    server: subprocess.Popen[str],
) -> None:
    with (
        httpx.Client(base_url=address_of(server), timeout=PATIENCE) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        job_id = client.post("/enqueue").json()
        waiting = pool.submit(client.get, f"/tasks/jobs/{job_id}/result?timeout=300")
        assert client.get("/asked").json() is True
        server.send_signal(signal.SIGINT)
        answer = waiting.result(PATIENCE)
    assert (answer.status_code, answer.json()["status"]) == (200, "pending")
    server.wait(PATIENCE)


# ------------------------------------------------------------------------ signal handlers


class Heard:
    """A signal handler, as a server installs one."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self.numbers.append(number)


@pytest.fixture
def heard() -> Iterator[Heard]:
    handler = Heard()
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    yield handler
    for number, previous in before.items():
        signal.signal(number, previous)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_handler_that_was_there_is_called_and_comes_back(
    heard: Heard, number: signal.Signals
) -> None:
    stopping = Stopping()
    with stopping.watched():
        signal.raise_signal(number)
        signal.raise_signal(number)
        assert stopping.asked
    assert heard.numbers == [number, number]
    assert signal.getsignal(number) is heard
    assert not stopping.asked, "another server may be started in this process"


async def test_a_router_listens_before_any_stream_is_open(heard: Heard) -> None:
    # A stream that opens between the signal and the end of the server must know already.
    seen = []

    @contextlib.asynccontextmanager
    async def own(_app: object) -> AsyncIterator[dict[str, str]]:
        seen.append("own")
        yield {"theirs": "kept"}

    app = FastAPI()
    app.include_router(QueueRouter(Queue("memory://"), lifespan=own))
    async with app.router.lifespan_context(app) as state:
        signal.raise_signal(signal.SIGTERM)
        assert STOPPING.asked
    assert (seen, state) == (["own"], {"theirs": "kept"})
    assert heard.numbers == [signal.SIGTERM]


def test_watching_may_overlap(heard: Heard) -> None:
    stopping = Stopping()
    with contextlib.ExitStack() as one, contextlib.ExitStack() as other:
        one.enter_context(stopping.watched())
        other.enter_context(stopping.watched())
        one.close()
        signal.raise_signal(signal.SIGINT)
        assert stopping.asked
    assert heard.numbers == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is heard


def test_a_handler_that_came_later_stays(heard: Heard) -> None:
    stopping, later = Stopping(), Heard()
    with stopping.watched():
        signal.signal(signal.SIGINT, later)
    assert signal.getsignal(signal.SIGINT) is later


def test_where_nobody_handles_a_signal_nothing_is_put_in_its_way(heard: Heard) -> None:
    stopping = Stopping()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with stopping.watched():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_outside_the_main_thread_nothing_is_installed(heard: Heard) -> None:
    stopping = Stopping()

    def handler() -> object:
        with stopping.watched():
            return signal.getsignal(signal.SIGINT)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(handler).result() is heard


async def test_waiting_ends_with_the_work_the_limit_or_the_signal(heard: Heard) -> None:
    stopping = Stopping()
    work: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    with stopping.watched():
        await stopping.wait(work, 0.001)
        assert (work.done(), stopping.asked) == (False, False)
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
        await stopping.wait(work)
        assert (work.done(), stopping.asked) == (False, True)
        await stopping.wait(work)
    work.set_result(1)
    await stopping.wait(work)
