"""A picture as the whole body of a PUT."""

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.imaging.tests import pictures
from services.imaging.tests.running import Running


def test_a_raw_body_is_an_upload(service: Running, photograph: bytes) -> None:
    response = service.client.put("/upload?filename=a+b.jpg", content=photograph)
    assert response.status_code == 202
    upload_id = response.json()["id"]
    assert service.finished(upload_id)["status"] == "SUCCESS"
    item = service.get(f"/uploads/{upload_id}")
    assert (item["filename"], item["format"]) == ("a b.jpg", "jpeg")
    assert item["size"] == len(photograph)
    assert item["sha256"] == hashlib.sha256(photograph).hexdigest()


def test_a_body_without_a_length_is_counted(service: Running) -> None:
    def body() -> Iterator[bytes]:
        yield b"\xff\xd8\xff"
        for _ in range(26):
            yield bytes(1_000_000)

    before = service.files()
    response = service.client.put("/upload", content=body())
    assert "content-length" not in response.request.headers
    assert (response.status_code, response.json()["code"]) == (413, "too_large")
    assert service.files() == before


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 422, "empty_file"),
        (b"not a picture", 415, "not_an_image"),
        (pictures.SVG, 415, "unsupported_type"),
        (pictures.png_claiming(10**5, 10**5), 422, "too_many_pixels"),
    ],
)
def test_bad_bodies_leave_nothing(service: Running, data: bytes, status: int, code: str) -> None:
    before = service.files()
    response = service.client.put("/upload", content=data)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert service.files() == before


@pytest.mark.parametrize(
    "head",
    [
        b"PUT /upload HTTP/1.1\r\n",
        b"POST /upload HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\n",
    ],
)
def test_a_client_that_falls_silent_is_given_up(own_service: Running, head: bytes) -> None:
    own_service.start(IMAGING_UPLOAD_SECONDS="0.2")
    with socket.create_connection(("127.0.0.1", own_service.port), 30) as connection:
        connection.sendall(head + b"Host: x\r\nContent-Length: 1000\r\n\r\n--b\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"code":"upload_timeout"' in answer
    assert not list(Path(own_service.folder, "files", "tmp").iterdir())
