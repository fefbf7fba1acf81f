import pytest

from tests.examples.conftest import Example, Site

USER = {"email": "ann@example.com", "name": "Ann", "password": "correct horse battery"}


def token_of(site: Site) -> str:
    link: str = site.told("email", 1)[0]["data"]["link"]
    return link.partition("#token=")[2]


def test_a_token_verifies_once(example: Example) -> None:
    with example("registration") as site:
        site.refuse("email", times=1)
        assert site.client.post("/register", json=USER).status_code == 202
        token = {"token": token_of(site)}
        assert site.client.post("/verify", json=token).status_code == 200
        assert site.client.post("/verify", json=token).status_code == 400
        assert [mail["subject"] for mail in site.told("email", 2)] == [
            "Verify your e-mail",
            "Welcome",
        ]
        assert [call["event"] for call in site.told("analytics", 2)] == ["registered", "verified"]


def test_an_address_that_is_known_is_not_given_away(example: Example) -> None:
    with example("registration") as site:
        first = site.client.post("/register", json=USER)
        token_of(site)
        second = site.client.post("/register", json=USER)
        assert (first.status_code, first.json()) == (second.status_code, second.json())
        assert site.told("email", 2)[1]["subject"] == "You have an account already"


def test_a_token_expires_and_is_not_in_the_database(
    example: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    with example("registration") as site:
        monkeypatch.setattr(site.module, "DAY", 0)
        site.client.post("/register", json=USER)
        token = token_of(site)
        assert site.client.post("/verify", json={"token": token}).status_code == 400
        with site.module.database.transaction() as db:
            [row] = db.execute("SELECT hash FROM tokens").fetchall()
        assert row["hash"] == site.module.hash_of(token)


def test_a_mail_that_never_goes_is_reported_without_its_contents(
    example: Example, caplog: pytest.LogCaptureFixture
) -> None:
    with example("registration") as site:
        site.refuse("email", times=4)
        site.client.post("/register", json=USER)
        assert site.told("chat", 1)[0]["text"].endswith("failed 4 times: HTTPStatusError")
        assert site.told("email", 0) == []
    assert "#token=" not in caplog.text
    assert USER["password"] not in caplog.text


def test_a_password_that_bcrypt_would_cut_off_is_refused(example: Example) -> None:
    with example("registration") as site:
        answer = site.client.post("/register", json={**USER, "password": "ä" * 40})
        assert answer.status_code == 422
