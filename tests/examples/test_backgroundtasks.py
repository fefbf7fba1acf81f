from tests.examples.conftest import Example

ORDER = {"email": "ann@example.com", "items": {"book": 2, "lamp": 1}}


def test_a_sign_up_sends_its_e_mail(example: Example) -> None:
    with example("signup") as site:
        answer = site.client.post("/signup", json={"email": "ann@example.com"})
        assert (answer.status_code, answer.json()) == (201, {"message": "User created"})
        assert {call["path"] for call in site.told("email", 2)} == {"send", "list"}


def test_a_sign_up_whose_mail_fails_still_does_the_rest(example: Example) -> None:
    with example("signup") as site:
        site.refuse("email", times=2)
        assert site.client.post("/signup", json={"email": "ann@example.com"}).status_code == 201
        assert [call["path"] for call in site.told("email", 1)] == ["list"]


def test_several_tasks_of_one_order(example: Example) -> None:
    with example("several") as site:
        assert site.client.post("/order", json=ORDER).json() == {"order_id": 1}
        assert site.told("warehouse", 1)[0]["order_id"] == 1
        assert site.client.get("/stock").json() == {"book": 8, "lamp": 2}
        assert site.told("email", 0)[0]["to"] == "ann@example.com"


def test_one_that_fails_does_not_stop_the_next(example: Example) -> None:
    with example("several") as site:
        site.refuse("email", times=1)
        site.client.post("/order", json=ORDER)
        assert site.told("warehouse", 1)[0]["order_id"] == 1
        assert site.client.get("/stock").json() == {"book": 8, "lamp": 2}
        assert site.told("email", 0) == []
