import contextlib

import pytest

from offload import JobFailed
from tests.examples.conftest import Example, Site


def ended(site: Site, task_type: str, payload: dict[str, object]) -> dict[str, object]:
    answer = site.client.post("/tasks", params={"task_type": task_type}, json=payload)
    assert answer.status_code == 202
    task_id = answer.json()["task_id"]
    with contextlib.suppress(JobFailed):
        site.module.queue.get_job(task_id).result(timeout=20)
    told: dict[str, object] = site.client.get(f"/tasks/{task_id}").json()
    assert told.pop("id") == task_id
    return told


@pytest.mark.parametrize("store", ["redis", "postgres", "file"])
def test_a_task_is_named_run_and_looked_up(
    store: str, example: Example, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if store != "file":
        monkeypatch.setenv("QUEUE_URL", request.getfixturevalue(f"{store}_url"))
    with example("anytask") as site:
        done = ended(site, "count_words", {"text": "one two three"})
        failed = ended(site, "divide", {"above": 1, "below": 0})
        unknown = site.client.post("/tasks", params={"task_type": "rm"}, json={})
        unfit = site.client.post("/tasks", params={"task_type": "divide"}, json={"above": 1})
        assert site.client.get("/tasks/nope").status_code == 404
    assert done == {"type": "count_words", "status": "completed", "result": 3, "error": None}
    assert (failed["status"], failed["result"]) == ("failed", None)
    assert str(failed["error"]).startswith("ZeroDivisionError")
    assert (unknown.status_code, unfit.status_code) == (404, 422)
