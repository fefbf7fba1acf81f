import asyncio

from tests.examples.conftest import Example, Site


def started(site: Site, pause: float) -> str:
    answer = site.client.post("/process", json={"numbers": [4, 9], "pause": pause})
    assert answer.status_code == 202
    task_id: str = answer.json()["task_id"]
    return task_id


def test_start_and_status(example: Example) -> None:
    with example("manager") as site:
        task_id = started(site, pause=0)
        asyncio.run(site.module.task_manager.wait(task_id, 20))
        told = site.client.get(f"/process/{task_id}").json()
        assert told == {"status": "completed", "result": 5.0}
        assert site.client.get("/process/nope").status_code == 404


def test_cancel(example: Example) -> None:
    with example("manager") as site:
        task_id = started(site, pause=60)
        assert site.client.get(f"/process/{task_id}").json() == {"status": "running"}
        assert site.client.delete(f"/process/{task_id}").json() == {"cancelled": True}
        asyncio.run(site.module.task_manager.wait(task_id, 20))
        assert site.client.get(f"/process/{task_id}").json()["status"] == "cancelled"
        assert site.client.delete(f"/process/{task_id}").json() == {"cancelled": False}


def test_what_fails_says_why(example: Example) -> None:
    with example("manager") as site:
        answer = site.client.post("/process", json={"numbers": [-1]})
        task_id = answer.json()["task_id"]
        asyncio.run(site.module.task_manager.wait(task_id, 20))
        told = site.client.get(f"/process/{task_id}").json()
        assert told == {"status": "failed", "error": "math domain error"}
