"""API keys: who asks sees what is theirs, and nothing tells that there is more."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from offload import Queue
from services.imaging.tests import pictures
from services.imaging.tests.running import Running

ALICE, BOB = "alice-secret", "bob-secret"


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("keyed")) as running:
        running.start(IMAGING_API_KEYS=f"alice:{ALICE}, bob:{BOB}")
        yield running


@pytest.fixture(scope="module")
def upload(keyed: Running) -> dict[str, Any]:
    """A picture of Alice's that is ready."""
    response = keyed.client.put(
        "/upload",
        params={"filename": "日本 1.jpg"},
        content=pictures.photograph(),
        headers=key(ALICE),
    )
    upload_id = response.json()["id"]
    with keyed.events(upload_id, key(ALICE)) as events:
        assert list(events)[-1]["status"] == "complete"
    item: dict[str, Any] = keyed.client.get(f"/uploads/{upload_id}", headers=key(ALICE)).json()
    return item


def key(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


ROUTES = [
    ("GET", "/upload/{}/status"),
    ("GET", "/upload/{}/result"),
    ("GET", "/upload/{}/events"),
    ("GET", "/upload/{}/original"),
    ("POST", "/upload/{}/cancel"),
    ("POST", "/upload/{}/retry"),
    ("DELETE", "/upload/{}"),
    ("GET", "/uploads/{}"),
    ("GET", "/files/processed/{}/image_thumbnail.jpeg"),
]


@pytest.mark.parametrize(
    ("method", "path"),
    [*ROUTES, ("GET", "/uploads"), ("PUT", "/upload"), ("POST", "/upload"), ("GET", "/batch/{}")],
)
@pytest.mark.parametrize("headers", [{}, key("wrong"), {"x-api-key": ""}, {"cookie": "x=y"}])
def test_without_a_key_nothing_is_told(
    keyed: Running, upload: dict[str, Any], method: str, path: str, headers: dict[str, str]
) -> None:
    response = httpx.request(method, keyed.url + path.format(upload["id"]), headers=headers)
    assert (response.status_code, response.json()["code"]) == (401, "unauthorized")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_anothers_id_is_unknown(
    keyed: Running, upload: dict[str, Any], method: str, path: str
) -> None:
    response = keyed.client.request(method, path.format(upload["id"]), headers=key(BOB))
    assert response.status_code == 404
    assert response.json() == {
        "detail": "There is no upload with this id.",
        "code": "not_found",
    }


@pytest.mark.parametrize("headers", [key(ALICE), {"x-api-key": ALICE}])
def test_either_header_will_do(
    keyed: Running, upload: dict[str, Any], headers: dict[str, str]
) -> None:
    listed = keyed.client.get("/uploads", headers=headers).json()["uploads"]
    assert [item["id"] for item in listed] == [upload["id"]]
    assert keyed.client.get("/uploads", headers=key(BOB)).json()["uploads"] == []


def test_a_session_is_a_key_for_the_page(keyed: Running, upload: dict[str, Any]) -> None:
    with httpx.Client(base_url=keyed.url) as browser:
        assert browser.get("/session").json() == {"required": True, "owner": None}
        assert browser.post("/session", json={"key": "wrong"}).status_code == 401
        begun = browser.post("/session", json={"key": ALICE})
        assert begun.json() == {"required": True, "owner": "alice"}
        cookie = begun.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert ALICE not in cookie
        assert browser.get("/session").json() == {"required": True, "owner": "alice"}
        assert browser.get(f"/uploads/{upload['id']}").status_code == 200
        assert browser.delete("/session").status_code == 204
        assert browser.get("/uploads").status_code == 401


def test_a_session_cannot_be_made_up(keyed: Running) -> None:
    begun = httpx.post(f"{keyed.url}/session", json={"key": BOB})
    owner, expires, signature = begun.cookies["imaging_session"].split(".")
    for made in (
        f"alice.{expires}.{signature}",
        f"{owner}.{int(expires) + 1}.{signature}",
        f"{owner}.{expires}.{'0' * len(signature)}",
        f"{owner}.1.{signature}",
        f"nobody.{expires}.{signature}",
        f"{owner}.{'9' * 5000}.{signature}",
        "..",
    ):
        cookies = {"cookie": f"imaging_session={made}"}
        assert httpx.get(f"{keyed.url}/uploads", headers=cookies).status_code == 401


def test_what_says_nothing_of_uploads_needs_no_key(keyed: Running) -> None:
    for path in ("/", "/healthz", "/limits", "/presets", "/openapi.json"):
        assert httpx.get(keyed.url + path).status_code == 200
    assert httpx.get(f"{keyed.url}/tasks/stats").status_code == 404


def test_links_in_answers_need_no_key(keyed: Running, upload: dict[str, Any]) -> None:
    for url in (*upload["result"].values(), upload["original_url"]):
        assert "signature=" in url
        assert httpx.get(keyed.url + url).status_code == 200
    assert httpx.get(keyed.url + upload["original_url"]).content == pictures.photograph()


def test_a_link_is_good_for_one_file_and_a_while(keyed: Running, upload: dict[str, Any]) -> None:
    thumbnail = httpx.URL(keyed.url + upload["result"]["thumbnail"])
    resized = httpx.URL(keyed.url + upload["result"]["resized_compressed"])
    later = int(thumbnail.params["expires"]) + 1
    for changed in (
        resized.copy_with(query=thumbnail.query),
        thumbnail.copy_set_param("expires", later),
        thumbnail.copy_set_param("expires", 1),
        thumbnail.copy_set_param("signature", "0" * 64),
        thumbnail.copy_remove_param("signature"),
    ):
        response = httpx.get(changed)
        assert (response.status_code, response.json()["code"]) == (401, "unauthorized")


def test_without_keys_everything_is_open(service: Running, photograph: bytes) -> None:
    assert service.get("/session") == {"required": False, "owner": None}
    upload_id = service.accepted("x.jpg", photograph)
    service.finished(upload_id)
    item = service.get(f"/uploads/{upload_id}")
    assert item["original_url"] == f"/upload/{upload_id}/original"
    original = service.client.get(item["original_url"])
    assert original.content == photograph
    assert original.headers["content-disposition"].startswith("attachment")


def test_one_owner_does_not_take_all_places(own_service: Running) -> None:
    own_service.start(IMAGING_API_KEYS=f"alice:{ALICE},bob:{BOB}", IMAGING_OWNER_CONCURRENCY="1")
    sent = [
        own_service.client.put("/upload", content=pictures.slow_png(), headers=key(who)).json()
        for who in (ALICE, ALICE, BOB)
    ]
    queue = Queue(str(own_service.folder / "queue.db"))
    try:
        for upload in sent:
            with own_service.events(upload["id"], key(BOB if upload is sent[2] else ALICE)) as told:
                assert list(told)[-1]["status"] == "complete"
        jobs = queue.get_jobs([one["id"] for one in sent])
        first, second, bobs = ((job.started_at or 0, job.finished_at or 0) for job in jobs if job)
        assert first[1] <= second[0], "one of Alice's at a time"
        assert bobs[0] < second[0], "Bob's overtakes it"
    finally:
        queue.close()
