"""What clients get that send what they should not: a clear answer, and nothing is left."""

import hashlib
import socket
from typing import Any

import pytest

from imaging.manifest import original_key
from services.imaging.tests import pictures
from services.imaging.tests.running import Running, file


def refusal(service: Running, name: str, data: bytes) -> tuple[int, str]:
    response = service.upload(file(name, data))
    body = response.json()
    assert set(body) == {"detail", "code"}
    return response.status_code, body["code"]


def test_too_many_files_are_refused_and_none_is_kept(service: Running, photograph: bytes) -> None:
    before = service.files()
    response = service.upload(*(file(f"{n}.jpg", photograph) for n in range(21)))
    assert (response.status_code, response.json()["code"]) == (422, "too_many_files")
    assert service.files() == before


@pytest.mark.parametrize(
    ("name", "data", "status", "code"),
    [
        pytest.param("x.jpg", b"", 422, "empty_file", id="0 bytes"),
        pytest.param("x.jpg", b"not a picture", 415, "not_an_image", id="text"),
        pytest.param("x.jpg", pictures.SVG, 415, "unsupported_type", id="svg as jpg"),
        pytest.param("x.pdf", b"%PDF-1.7", 415, "unsupported_type", id="pdf"),
        pytest.param(
            "x.png", pictures.png_claiming(10**5, 10**5), 422, "too_many_pixels", id="bomb"
        ),
        pytest.param(
            "x.jpg", b"\xff\xd8\xff" + bytes(25_000_000), 413, "too_large", id="over 25 MB"
        ),
    ],
)
def test_bad_files_get_a_clear_answer_and_leave_nothing(
    service: Running, name: str, data: bytes, status: int, code: str
) -> None:
    before = service.files()
    assert refusal(service, name, data) == (status, code)
    assert service.files() == before


def test_too_large_is_found_without_a_content_length(service: Running) -> None:
    head = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.jpg"\r\n\r\n\xff\xd8\xff'
    )

    def body() -> Any:
        yield head
        for _ in range(26):
            yield bytes(1_000_000)
        yield b"\r\n--b--\r\n"

    kind = {"content-type": "multipart/form-data; boundary=b"}
    response = service.client.post("/upload", content=body(), headers=kind)
    assert "content-length" not in response.request.headers
    assert (response.status_code, response.json()["code"]) == (413, "too_large")


def test_a_hopeless_body_is_refused_before_it_is_sent(service: Running) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(
            b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 900000000\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_the_largest_file_allowed_is_taken(service: Running, photograph: bytes) -> None:
    padded = photograph + bytes(25_000_000 - len(photograph))
    assert service.finished(service.accepted("tail.jpg", padded))["status"] == "SUCCESS"


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_truncated_picture_fails_once_and_says_why(service: Running, suffix: str) -> None:
    whole = pictures.photograph(suffix)
    upload_id = service.accepted(f"x{suffix}", whole[: len(whole) // 2])
    status = service.finished(upload_id)
    error = {
        "code": "truncated_image",
        "detail": "This picture is incomplete: the file ends too early.",
    }
    assert (status["status"], status["error"]) == ("FAILURE", error)
    result = service.client.get(f"/upload/{upload_id}/result")
    assert result.status_code == 200
    assert result.json() == {"status": "FAILURE", "result": None, "error": error}
    job = service.get(f"/tasks/jobs/{upload_id}")
    assert job["status"] == "failed", "bad input is final, never retried"
    sha256 = hashlib.sha256(whole[: len(whole) // 2]).hexdigest()
    assert [name for name in service.files() if sha256 in name] == [f"files/{original_key(sha256)}"]


@pytest.mark.parametrize(
    ("name", "shown", "stem"),
    [
        ("../../etc/x", "x", "x"),
        ("a b (1).jpg", "a b (1).jpg", "a-b-1"),
        ("日本.jpg", "日本.jpg", "日本"),
        ("%2e%2e%2fx.jpg", "%2e%2e%2fx.jpg", "2e-2e-2fx"),
    ],
)
def test_odd_names_are_shown_and_never_become_paths(
    service: Running, photograph: bytes, name: str, shown: str, stem: str
) -> None:
    upload_id = service.accepted(name, photograph)
    assert service.finished(upload_id)["filename"] == shown
    links = service.get(f"/upload/{upload_id}/result")["result"]
    url = service.client.build_request("GET", links["thumbnail"]).url
    assert url.path == f"/files/processed/{upload_id}/{stem}_thumbnail.jpeg"
    assert service.client.get(links["thumbnail"]).status_code == 200
    assert not [path for path in service.files() if upload_id in path or "日本" in path]


def test_a_nul_in_a_name_does_no_harm(service: Running, photograph: bytes) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a\0b.jpg"\r\n\r\n'
    response = service.client.post(
        "/upload",
        content=head + photograph + b"\r\n--b--\r\n",
        headers={"content-type": "multipart/form-data; boundary=b"},
    )
    assert response.status_code == 202
    assert response.json()["filename"] == "ab.jpg"
    upload_id = response.json()["id"]
    assert service.finished(upload_id)["status"] == "SUCCESS"
    links = service.get(f"/upload/{upload_id}/result")["result"]
    assert links["thumbnail"].endswith("/ab_thumbnail.jpeg")


@pytest.mark.parametrize(
    "path",
    [
        "../../../etc/passwd",
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2fetc%2fpasswd",
        "originals/{id}",
        "processed/{id}/../../../../../etc/passwd",
        "processed/{id}/thumbnail.jpeg",
        "processed/{id}/x_thumbnail.jpeg%00",
        "processed/{id}/other_thumbnail.jpeg",
        "processed/{id}",
        "",
    ],
)
def test_only_the_names_of_outputs_are_served(
    service: Running, photograph: bytes, path: str
) -> None:
    upload_id = service.accepted("x.jpg", photograph)
    service.finished(upload_id)
    # A raw socket: a client library would tidy the path up before sending it.
    target = f"/files/{path.format(id=upload_id)}"
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        request = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 404"), answer[:200]
    assert b"root:" not in answer


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/upload/{}/status"),
        ("GET", "/upload/{}/result"),
        ("GET", "/upload/{}/events"),
        ("POST", "/upload/{}/cancel"),
        ("GET", "/uploads/{}"),
        ("GET", "/files/processed/{}/x_thumbnail.jpeg"),
    ],
)
@pytest.mark.parametrize("unknown", ["01890000-0000-7000-8000-000000000000", "nonsense", "%00"])
def test_unknown_ids_are_404(service: Running, method: str, path: str, unknown: str) -> None:
    response = service.client.request(method, path.format(unknown))
    assert response.status_code == 404
    assert response.json() == {
        "detail": "There is no upload with this id.",
        "code": "not_found",
    }


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"", "application/json", 415, "not_multipart"),
        (b"", "multipart/form-data", 415, "not_multipart"),
        (b"garbage", "multipart/form-data; boundary=b", 400, "bad_request"),
        (b"--b--\r\n", "multipart/form-data; boundary=b", 422, "missing_file"),
        (
            b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\ntext\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
            422,
            "missing_file",
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\ncut off',
            "multipart/form-data; boundary=b",
            400,
            "bad_request",
        ),
        (b"", "multipart/form-data; boundary=" + "b" * 5000, 400, "bad_request"),
    ],
)
def test_broken_forms_are_refused(
    service: Running, body: bytes, content_type: str, status: int, code: str
) -> None:
    before = service.files()
    response = service.client.post("/upload", content=body, headers={"content-type": content_type})
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert service.files() == before


def test_a_body_that_is_no_text_is_refused_as_documented(service: Running) -> None:
    headers = {"content-type": "application/json"}
    response = service.client.post("/session", content=b'{"key": "\xff"}', headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "bad_request")
    assert "400" in service.get("/openapi.json")["paths"]["/session"]["post"]["responses"]


def test_a_client_that_goes_away_leaves_nothing(service: Running) -> None:
    before = service.files()
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(
            b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.jpg"\r\n\r\n'
            + bytes(3_000_000)
        )
    # Noticing takes the service a few turns of its loop; each request here is one.
    tidy = (service.get("/healthz") and service.files() == before for _ in range(2000))
    assert any(tidy)
