from typing import Any

import pytest

from examples.standins import DECLINED
from tests.examples.conftest import Example, Site

ORDER = {
    "email": "ann@example.com",
    "items": [{"product_id": 1, "quantity": 2}, {"product_id": 2, "quantity": 1}],
    "payment_token": "tok_SECRET",
}
CENTS = 2 * 1250 + 400


def available(site: Site) -> list[Any]:
    with site.module.database.transaction() as db:
        return [row["available"] for row in db.execute("SELECT available FROM products")]


def test_an_order_is_paid_before_the_answer_and_the_rest_follows(example: Example) -> None:
    with example("orders") as site:
        site.refuse("email", times=1)
        answer = site.client.post("/orders", json=ORDER)
        assert (answer.status_code, answer.json()) == (201, {"order_id": 1, "cents": CENTS})
        assert site.client.get("/orders/1").json()["state"] == "paid"
        [charge] = site.told("payment", 1)
        assert (charge["cents"], charge["key"]) == (CENTS, "order-1")
        [mail] = site.told("email", 1)
        assert (mail["to"], mail["subject"]) == ("ann@example.com", "Order 1 is paid")
        assert site.told("warehouse", 1)[0]["items"][0] == {"sku": 1, "quantity": 2}
        assert site.told("analytics", 1)[0]["event"] == "order_created"
        assert available(site) == [8, 2]


def test_a_declined_card_is_the_answer_and_nothing_follows(
    example: Example, caplog: pytest.LogCaptureFixture
) -> None:
    with example("orders") as site:
        answer = site.client.post("/orders", json={**ORDER, "payment_token": DECLINED})
        assert (answer.status_code, answer.json()) == (402, {"detail": "The card was declined"})
        assert site.client.get("/orders/1").json()["state"] == "unpaid"
        assert available(site) == [10, 3]
        assert site.told("email", 0) == site.told("chat", 0) == []
    assert DECLINED not in caplog.text


def test_a_payment_service_that_is_away_for_long_is_reported(example: Example) -> None:
    with example("orders") as site:
        site.refuse("payment", times=3)
        assert site.client.post("/orders", json=ORDER).status_code == 502
        assert site.told("chat", 1)[0]["text"] == "Payment of order 1: HTTPStatusError"
        assert available(site) == [10, 3]
        site.refuse("payment", times=2)
        assert site.client.post("/orders", json=ORDER).status_code == 201


def test_what_is_not_in_stock_reserves_nothing(example: Example) -> None:
    with example("orders") as site:
        items = [{"product_id": 1, "quantity": 1}, {"product_id": 2, "quantity": 4}]
        answer = site.client.post("/orders", json={**ORDER, "items": items})
        assert answer.status_code == 409
        assert available(site) == [10, 3]
        assert site.client.get("/orders/1").status_code == 404
        assert site.told("payment", 0) == []


def test_a_product_that_is_ordered_twice_is_given_back_twice(example: Example) -> None:
    with example("orders") as site:
        items = [{"product_id": 1, "quantity": 1}, {"product_id": 1, "quantity": 4}]
        order = {**ORDER, "items": items, "payment_token": DECLINED}
        assert site.client.post("/orders", json=order).status_code == 402
        assert available(site) == [10, 3]
