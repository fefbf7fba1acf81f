"""Downloads: conditional, in part, and from a bucket."""

from typing import Any

import httpx
import pytest

from services.imaging.tests import buckets, pictures
from services.imaging.tests.running import Running
from tests.servers.seaweed import S3


@pytest.fixture(scope="module")
def item(service: Running) -> dict[str, Any]:
    return made(service)


def made(service: Running) -> dict[str, Any]:
    upload_id = service.accepted("x.jpg", pictures.photograph())
    service.finished(upload_id)
    found: dict[str, Any] = service.get(f"/uploads/{upload_id}")
    return found


@pytest.fixture(params=["thumbnail", "original"])
def url(item: dict[str, Any], request: pytest.FixtureRequest) -> str:
    if request.param == "original":
        return str(item["original_url"])
    return str(item["result"]["thumbnail"])


def test_a_known_file_is_not_sent_again(service: Running, url: str) -> None:
    first = service.client.get(url)
    etag = first.headers["etag"]
    for known in (etag, f'"x", W/{etag}', "*"):
        again = service.client.get(url, headers={"if-none-match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
        assert again.headers["cache-control"] == first.headers["cache-control"]
    assert service.client.get(url, headers={"if-none-match": '"x"'}).status_code == 200


def test_tags_differ_by_output(service: Running, item: dict[str, Any]) -> None:
    urls = [item["original_url"], *(made["url"] for made in item["variants"].values())]
    tags = {service.client.get(one).headers["etag"] for one in urls}
    assert len(tags) == len(urls) >= 3


def test_head_tells_what_get_would(service: Running, url: str) -> None:
    whole, head = service.client.get(url), service.client.head(url)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "etag", "accept-ranges"):
        assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize(
    ("asked", "part"),
    [("0-2", slice(0, 3)), ("5-", slice(5, None)), ("-7", slice(-7, None))],
)
def test_a_part_is_sent_alone(service: Running, url: str, asked: str, part: slice) -> None:
    whole = service.client.get(url).content
    response = service.client.get(url, headers={"range": f"bytes={asked}"})
    assert response.status_code == 206
    assert response.content == whole[part]
    first, _, _ = part.indices(len(whole))
    last = first + len(response.content) - 1
    assert response.headers["content-range"] == f"bytes {first}-{last}/{len(whole)}"


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0"])
def test_bytes_that_are_not_there_are_416(service: Running, url: str, asked: str) -> None:
    response = service.client.get(url, headers={"range": asked})
    assert (response.status_code, response.json()["code"]) == (416, "range_not_satisfiable")
    size = service.client.head(url).headers["content-length"]
    assert response.headers["content-range"] == f"bytes */{size}"


@pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "bytes=5-2", "lines=1-2", "bytes=x-", ""])
def test_odd_ranges_are_ignored(service: Running, url: str, asked: str) -> None:
    response = service.client.get(url, headers={"range": asked})
    assert response.status_code == 200
    assert response.content == service.client.get(url).content


def test_a_part_of_what_has_changed_is_the_whole(service: Running, url: str) -> None:
    etag = service.client.head(url).headers["etag"]
    for known, status in ((etag, 206), ('"x"', 200)):
        headers = {"range": "bytes=0-2", "if-range": known}
        assert service.client.get(url, headers=headers).status_code == status


@pytest.mark.parametrize("links", [True, False])
def test_a_bucket_serves_its_files_or_they_are_passed_on(
    own_service: Running, s3_server: S3, *, links: bool
) -> None:
    said = buckets.in_environment(s3_server)
    own_service.start(**said, IMAGING_S3_LINKS=str(links))
    item = made(own_service)
    policy = own_service.client.get("/").headers["content-security-policy"]
    assert (s3_server.endpoint in policy) == links
    for url, kind in ((item["result"]["thumbnail"], "inline"), (item["original_url"], "attach")):
        response = own_service.client.get(url)
        assert (response.status_code == 307) == links
        if links:
            assert response.headers["location"].startswith(s3_server.endpoint)
            response = httpx.get(response.headers["location"])
        assert response.status_code == 200
        assert response.headers["content-type"] == "image/jpeg"
        assert response.headers["content-disposition"].startswith(kind)
        assert response.content.startswith(b"\xff\xd8\xff")
    part = own_service.client.get(
        item["original_url"], headers={"range": "bytes=0-2"}, follow_redirects=True
    )
    assert (part.status_code, part.content) == (206, b"\xff\xd8\xff")
    own_service.stop()  # an answer is over a little after its last byte has come
    assert own_service.files() == [], "no copy stays behind"
