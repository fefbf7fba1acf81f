"""What the router mounts, for whom, and how OpenAPI shows it."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import Depends, FastAPI, Header, HTTPException

from offload import Queue, StoreUnavailable
from offload.fastapi import QueueRouter, operators
from tests.fastapi.serving import Site

PUBLIC = {
    ("get", "/stats"),
    ("get", "/jobs/{job_id}"),
    ("get", "/jobs/{job_id}/errors"),
    ("get", "/jobs/{job_id}/result"),
    ("get", "/jobs/{job_id}/progress"),
    ("post", "/jobs/{job_id}/cancel"),
    ("get", "/dead-letters"),
    ("post", "/dead-letters/{dead_id}/retry"),
}
OPERATOR = {
    ("get", "/jobs"),
    ("get", "/jobs/{job_id}/logs"),
    ("get", "/jobs/{job_id}/parts"),
    ("get", "/jobs/{job_id}/family"),
    ("post", "/jobs/{job_id}/replay"),
    ("post", "/dead-letters/retry"),
    ("post", "/dead-letters/purge"),
    ("get", "/schedules"),
    ("post", "/schedules/{name}/trigger"),
    ("post", "/schedules/{name}/pause"),
    ("post", "/schedules/{name}/resume"),
    ("get", "/queues"),
    ("post", "/queues/{name}/pause"),
    ("post", "/queues/{name}/resume"),
    ("get", "/metrics"),
    ("get", "/workers"),
    ("get", "/health"),
    ("get", "/readiness"),
}


async def only_me(x_api_key: str = Header("")) -> None:
    if x_api_key != "secret":
        raise HTTPException(status_code=401, detail="Invalid API key")


def schema(router: QueueRouter) -> dict[str, Any]:
    app = FastAPI()
    app.include_router(router)
    return app.openapi()


def routes(openapi: dict[str, Any]) -> set[tuple[str, str]]:
    return {(method, path) for path, methods in openapi["paths"].items() for method in methods}


def test_bare_it_mounts_what_the_seeds_show() -> None:
    assert routes(schema(QueueRouter(Queue("memory://")))) == PUBLIC
    assert routes(schema(QueueRouter(Queue("memory://"), dependencies=[]))) == PUBLIC


@pytest.mark.parametrize("options", [{"operator": True}, {"dependencies": [Depends(only_me)]}])
def test_operators_get_more(options: dict[str, Any]) -> None:
    assert routes(schema(QueueRouter(Queue("memory://"), **options))) == PUBLIC | OPERATOR


def test_who_is_checked_need_not_be_an_operator() -> None:
    guarded = QueueRouter(Queue("memory://"), dependencies=[Depends(only_me)], operator=False)
    assert routes(schema(guarded)) == PUBLIC


def test_each_route_is_on_its_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "fastapi.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(GET|POST) (\S+)`", page, re.MULTILINE)
    assert {(method.lower(), path) for method, path in rows} == PUBLIC | OPERATOR
    assert len(rows) == len(PUBLIC | OPERATOR)


def test_dependencies_guard_every_route(site: Site) -> None:
    job = site.work.delay()
    guarded = [Depends(only_me)]
    with site.client(dependencies=guarded) as client:
        for method, path in sorted(PUBLIC | OPERATOR):
            address = path.format(job_id=job.id, dead_id="nope", name="nope")
            refused = client.request(method, address)
            assert (refused.status_code, refused.json()) == (401, {"detail": "Invalid API key"})
            if not path.endswith("/progress"):  # it would go on, for the job is pending
                admitted = client.request(method, address, headers={"X-API-Key": "secret"})
                # The job cannot be replayed yet, and which letters is not said.
                assert admitted.status_code in {200, 404, 409, 422}, (method, path)


def test_tags() -> None:
    def tags(**options: Any) -> set[tuple[str, ...]]:
        openapi = schema(QueueRouter(Queue("memory://"), operator=True, **options))
        return {tuple(route["tags"]) for way in openapi["paths"].values() for route in way.values()}

    assert tags() == {("tasks",)}
    assert tags(tags=["task-queue"]) == {("task-queue",)}
    assert tags(tags=["a", "b"]) == {("a", "b")}


def test_openapi_lists_the_states_and_the_errors() -> None:
    openapi = schema(QueueRouter(Queue("memory://"), operator=True))
    states = ["pending", "running", "complete", "failed", "dead", "cancelled"]
    assert openapi["components"]["schemas"]["State"]["enum"] == states
    progress = openapi["paths"]["/jobs/{job_id}/progress"]["get"]
    assert list(progress["responses"]["200"]["content"]) == ["text/event-stream"]
    assert list(progress["responses"]["404"]["content"]) == ["application/json"]
    assert "404" in openapi["paths"]["/dead-letters/{dead_id}/retry"]["post"]["responses"]


def test_two_routers_beside_each_other_have_ids_of_their_own_in_openapi() -> None:
    app = FastAPI()
    for prefix in ("/one", "/two"):
        app.include_router(QueueRouter(Queue("memory://"), operator=True), prefix=prefix)
    ways = app.openapi()["paths"].values()
    ids = [route["operationId"] for way in ways for route in way.values()]
    assert len(set(ids)) == len(ids) == 2 * len(PUBLIC | OPERATOR)


def test_a_router_may_have_a_lifespan_and_other_options_of_its_own() -> None:
    router = QueueRouter(Queue("memory://"), prefix="/q", include_in_schema=False)
    assert schema(router)["paths"] == {}
    assert router.url_path_for("job_result", job_id="7") == "/q/jobs/7/result"


# ------------------------------------------------------------------------------ operators


def test_jobs_are_listed_newest_first_and_filtered(site: Site) -> None:
    with site.client(operator=True) as client:
        ids = [site.work.apply_async(queue=name).id for name in ("a", "b", "a")]
        tagged_at = site.work.apply_async(tags=["red"])
        tagged = tagged_at.id
        site.queue.cancel_job(ids[0])

        def found(query: str) -> list[str]:
            return [job["id"] for job in client.get(f"/jobs?{query}").json()]

        newest = [tagged, *reversed(ids)]
        assert found("") == newest
        assert found("limit=2") == newest[:2]
        assert found(f"limit=2&before={newest[1]}") == newest[2:]
        assert found("queue=a") == [ids[2], ids[0]]
        assert found("status=cancelled") == [ids[0]]
        assert found("tag=red") == [tagged]
        assert found("task=work&status=pending&queue=b") == [ids[1]]
        assert found("task=other") == []
        created = tagged_at.created_at
        assert found(f"created_after={created}")[0] == tagged
        assert found(f"created_after={created + 1}") == []
        assert found(f"created_before={created + 1}") == newest
        assert found("created_before=0") == []
        assert found("schedule=nightly") == []


def test_workers_and_readiness(site: Site) -> None:
    with site.client(operator=True) as client:
        assert client.get("/workers").json() == []
        assert client.get("/health").json() == {"status": "ok"}
        assert client.get("/readiness").json() == {
            "status": "degraded",
            "checks": {
                "storage": "ok",
                "workers": {"count": 0, "status": "none"},
                "embedded_worker": "ok",
            },
        }
    with site.client(operator=True, worker=True) as client:
        site.ended().result(timeout=20)
        [worker] = client.get("/workers").json()
        keys = {"id", "host", "pid", "queues", "concurrency", "started_at", "age", "alive"}
        assert set(worker) == keys
        assert (worker["alive"], worker["queues"], worker["concurrency"]) == (True, None, 4)
        ready = client.get("/readiness").json()
        assert (ready["status"], ready["checks"]["workers"]["count"]) == ("ready", 1)


async def away() -> None:
    raise StoreUnavailable("a secret path is locked")


async def hanging() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("workers", [away, hanging])
def test_readiness_is_503_when_the_store_cannot_be_read(
    site: Site, monkeypatch: pytest.MonkeyPatch, workers: object
) -> None:
    monkeypatch.setattr(operators, "READ_LIMIT", 0.05)
    with site.client(operator=True) as client:
        monkeypatch.setattr(site.queue.store, "workers", workers)
        answer = client.get("/readiness")
        detail = {"detail": "The job store cannot be read"}
        assert (answer.status_code, answer.json()) == (503, detail)
        assert client.get("/health").status_code == 200
