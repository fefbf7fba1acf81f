"""Where requests to strangers' addresses may go, and that they go nowhere else."""

import asyncio
import socket
from ipaddress import ip_network
from typing import Any

import pytest

from imaging.outgoing import Unheard, post
from imaging.reach import Reach, Unreachable, parsed
from services.imaging.tests.receiver import receiving

ONLY = Reach(networks=(ip_network("127.0.0.2/32"),))


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Let names mean these addresses, one answer after the other; what was asked for."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *_: object, **__: object) -> list[Any]:
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


async def test_a_name_is_resolved_once_and_what_was_checked_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with receiving("127.0.0.2") as receiver, receiving("127.0.0.1") as trap:
        asked = resolving(monkeypatch, ["127.0.0.2"], ["127.0.0.1"])
        port = parsed(receiver.url).port
        status = await post(f"http://rebinding.example:{port}/", {}, b"{}", ONLY)
        assert (status, asked) == (204, ["rebinding.example"])
        assert receiver.next().headers["host"] == f"rebinding.example:{port}"
        assert trap.deliveries.empty()


async def test_one_bad_address_among_good_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving("127.0.0.2") as receiver:
        resolving(monkeypatch, ["127.0.0.2", "127.0.0.1"])
        port = parsed(receiver.url).port
        with pytest.raises(Unreachable, match="not on the public internet"):
            await post(f"http://two.example:{port}/", {}, b"{}", ONLY)
        assert receiver.deliveries.empty()


async def test_the_next_address_is_tried_where_nobody_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with receiving("127.0.0.2") as receiver:
        resolving(monkeypatch, ["127.0.0.3", "127.0.0.2"])
        port = parsed(receiver.url).port
        reach = Reach(networks=(ip_network("127.0.0.2/31"),))
        assert await post(f"http://two.example:{port}/", {}, b"{}", reach) == 204


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::1]", "0"],
)
async def test_every_spelling_of_ourselves_is_refused(host: str) -> None:
    with pytest.raises(Unreachable):
        await post(f"http://{host}:1/", {}, b"", Reach())


async def test_a_host_may_be_allowed_by_its_name() -> None:
    with receiving() as receiver:
        url = receiver.url.replace("127.0.0.1", "localhost")
        assert await post(url, {}, b"{}", Reach(hosts=frozenset({"localhost"}))) == 204


async def test_what_does_not_speak_http_was_not_told() -> None:
    with socket.create_server(("127.0.0.2", 0)) as server:
        url = f"http://127.0.0.2:{server.getsockname()[1]}/"
        server.close()
        with pytest.raises(OSError, match="Connect call failed"):
            await post(url, {}, b"", ONLY)
    with pytest.raises(Unheard):
        await _answered(b"SSH-2.0-x\r\n")
    with pytest.raises(Unheard):
        await _answered(b"")
    with pytest.raises(Unheard):
        await _answered(bytes(100_000))


async def _answered(answer: bytes) -> int:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.2", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        return await post(f"http://127.0.0.2:{port}/", {}, b"", ONLY)
