"""Webhooks over HTTP: signed, tried again, and never led into our own network."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imaging.webhooks import signature
from offload import JobFailed, Queue
from services.imaging.tests import pictures
from services.imaging.tests.receiver import Delivery, Receiver, receiving
from services.imaging.tests.running import Running, file

SECRET = "told in private"


@pytest.fixture(scope="module")
def hooked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("hooked")) as running:
        running.start(
            IMAGING_WEBHOOK_SECRET=SECRET,
            IMAGING_WEBHOOK_ALLOW="127.0.0.1/32",
            IMAGING_WEBHOOK_RETRIES="2",
            IMAGING_WEBHOOK_BACKOFF="0.01",
        )
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def put(service: Running, data: bytes, url: str) -> str:
    response = service.client.put("/upload", params={"webhook": url}, content=data)
    assert response.status_code == 202, response.text
    return str(response.json()["id"])


def told(delivery: Delivery) -> dict[str, Any]:
    """Check the signature as the README tells receivers to, and give what was said."""
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    header = delivery.headers["x-imaging-signature"]
    assert names["is_ours"](SECRET, header, delivery.body)
    assert not names["is_ours"]("guessed", header, delivery.body)
    assert not names["is_ours"](SECRET, header, delivery.body + b" ")
    assert not names["is_ours"](SECRET, signature(SECRET, 1, delivery.body), delivery.body)
    body: dict[str, Any] = json.loads(delivery.body)
    assert body["event"] == "upload.finished"
    upload: dict[str, Any] = body["upload"]
    return upload


def test_the_end_of_an_upload_is_told(
    hooked: Running, receiver: Receiver, photograph: bytes
) -> None:
    upload_id = put(hooked, photograph, receiver.url)
    delivery = receiver.next()
    assert delivery.path == "/hook?a=b"
    assert delivery.headers["content-type"] == "application/json"
    upload = told(delivery)
    assert upload["status"] == "SUCCESS"
    assert upload == {**hooked.get(f"/uploads/{upload_id}"), "variants": upload["variants"]}


def test_a_failure_and_a_cancelling_are_told_as_well(
    hooked: Running, receiver: Receiver, photograph: bytes
) -> None:
    put(hooked, photograph[: len(photograph) // 2], receiver.url)
    failed = told(receiver.next())
    assert (failed["status"], failed["error"]["code"]) == ("FAILURE", "truncated_image")
    slow = put(hooked, pictures.slow_png(), receiver.url)
    assert hooked.client.post(f"/upload/{slow}/cancel").json() == {"cancelled": True}
    assert told(receiver.next())["status"] == "REVOKED"
    fresh = hooked.client.post(f"/upload/{slow}/retry").json()["id"]
    again = told(receiver.next())
    assert (again["id"], again["retry_of"], again["status"]) == (fresh, slow, "SUCCESS")


def test_each_file_of_a_form_is_told(
    hooked: Running, receiver: Receiver, photograph: bytes
) -> None:
    files = [("file", file(f"{n}.jpg", photograph)) for n in range(2)]
    hooked.client.post("/upload", params={"webhook": receiver.url}, files=files)
    names = {told(receiver.next())["filename"] for _ in range(2)}
    assert names == {"0.jpg", "1.jpg"}


def test_a_receiver_that_fails_is_told_again(
    hooked: Running, receiver: Receiver, photograph: bytes
) -> None:
    receiver.answers = [500, 302]
    put(hooked, photograph, receiver.url)
    tries = [receiver.next() for _ in range(3)]
    assert len({delivery.headers["x-imaging-delivery"] for delivery in tries}) == 1
    assert {told(delivery)["status"] for delivery in tries} == {"SUCCESS"}
    job = hooked.get(f"/tasks/jobs/{tries[0].headers['x-imaging-delivery']}/result?timeout=40")
    assert (job["status"], job["result"]) == ("complete", 204)


def test_one_that_always_fails_is_given_up(
    hooked: Running, receiver: Receiver, photograph: bytes
) -> None:
    receiver.answers = [500, 503, 500]
    put(hooked, photograph, receiver.url)
    tries = [receiver.next() for _ in range(3)]
    job = hooked.get(f"/tasks/jobs/{tries[0].headers['x-imaging-delivery']}/result?timeout=40")
    assert (job["status"], job["error"]) == ("dead", "Unheard: the receiver answered 500")
    assert receiver.deliveries.empty()


def test_a_redirect_is_not_followed(hooked: Running, receiver: Receiver, photograph: bytes) -> None:
    with receiving() as trap:
        receiver.answers, receiver.location = [307, 302, 301], trap.url
        put(hooked, photograph, receiver.url)
        tries = [receiver.next() for _ in range(3)]
        job = hooked.get(f"/tasks/jobs/{tries[0].headers['x-imaging-delivery']}/result?timeout=40")
        assert (job["status"], job["error"]) == ("dead", "Unheard: the receiver answered 301")
        assert trap.deliveries.empty()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "javascript:alert(1)",
        "//example.com/",
        "example.com",
        "http://",
        "http:///x",
        "http://user:secret@example.com/",
        "http://example.com:99999/",
        "http://example.com/ a",
        "http://example.com/\r\nX-Injected: 1",
        "http://example.com\\@127.0.0.1/",
        "http://exämple.com/",
        "http://[::1/",
        "http://10.0.0.1/",
        "http://127.0.0.2/",
        "http://169.254.169.254/latest/meta-data/",
        "http://0.0.0.0/",
        "http://[::1]/",
        "http://[fe80::1]/",
        "http://[fd00::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::7f00:2]/",
        "http://[2002:7f00:2::]/",
        "http://[ff02::1]/",
        "http://224.0.0.1/",
        "",
    ],
)
def test_what_may_never_be_told_is_refused_at_once(
    hooked: Running, photograph: bytes, url: str
) -> None:
    before = hooked.files()
    response = hooked.client.put("/upload", params={"webhook": url}, content=photograph)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_webhook")
    assert hooked.files() == before


@pytest.mark.parametrize("host", ["127.2", "2130706434", "0x7f000002"])
def test_a_name_that_means_ourselves_is_given_up_at_once(
    hooked: Running, photograph: bytes, host: str
) -> None:
    put(hooked, photograph, f"http://{host}/")
    queue = Queue(str(hooked.folder / "queue.db"))
    try:
        [job] = queue.list_jobs(tag="webhook", limit=1)
        with pytest.raises(JobFailed, match=f"{host} is not on the public internet"):
            job.result(timeout=40)
        assert len(job.errors()) == 1, "it was not tried again"
    finally:
        queue.close()


def test_without_a_secret_there_are_no_webhooks(service: Running, photograph: bytes) -> None:
    response = service.client.put(
        "/upload", params={"webhook": "https://example.com/"}, content=photograph
    )
    assert (response.status_code, response.json()["code"]) == (422, "invalid_webhook")
    assert "IMAGING_WEBHOOK_SECRET" in response.json()["detail"]
