from tests.examples.conftest import Example


def test_what_was_done_is_written_down_and_what_failed_is_not(example: Example) -> None:
    with example("auditor") as site:
        assert site.client.delete("/users/2").status_code == 401
        wrong = {"Authorization": "Bearer wrong"}
        assert site.client.delete("/users/2", headers=wrong).status_code == 401
        site.client.headers["Authorization"] = f"Bearer {site.module.TOKEN}"
        assert site.client.delete("/users/2").status_code == 204
        assert site.client.delete("/users/2").status_code == 404
        site.settle()
        entry = {"action": "user_deleted", "subject": 2, "user_id": site.module.ADMIN}
        assert site.client.get("/audit").json() == [entry]
