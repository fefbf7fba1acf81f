"""A task that fails in whatever way harms neither its neighbours nor the server."""

from pathlib import Path

import httpx

from tests.fastapi.served.server import serving, start


def test_the_server_serves_on_whatever_tasks_do(tmp_path: Path) -> None:
    with serving(tmp_path) as (server, client):
        start(client, "after_response", "writes")
        neighbour = server.line()
        ends = [
            _end(client, mode, work, handled=handled)
            for mode in ("now", "after_route", "after_response")
            for work in ("breaks", "cancels_itself", "exits", "exits_in_thread")
            for handled in (False, True)
        ]
        assert set(ends) == {"failed"}
        assert client.get("/stats").json() == {
            "active": 1,
            "pending": 0,
            "ended": {"failed": len(ends)},
        }
        start(client, "after_response", "writes")
        later = server.line()
        assert (neighbour.end(), later.end()) == ("written", "written")
        client.close()
        server.signal()
        said = server.ended()
        assert server.effects() == ["writes", "writes"]
    assert said.count("its on_error raised") == len(ends) / 2
    assert "ASGI" not in said, "no request has failed"


def _end(client: httpx.Client, mode: str, work: str, **options: bool) -> str:
    task_id = start(client, mode, work, **options)
    said: str = client.get(f"/tasks/{task_id}").json()
    return said
