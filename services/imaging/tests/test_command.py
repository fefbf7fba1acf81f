"""The `imaging` command as people start and end it."""

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import httpx
import pytest

from imaging import settings
from imaging.showcase import sample_photographs
from imaging.storage.s3 import S3Storage
from services.imaging.tests import pictures
from services.imaging.tests.buckets import described, in_environment
from services.imaging.tests.running import Running, below
from tests.servers.seaweed import S3

pytestmark = pytest.mark.timeout(120)
IMAGING = str(Path(sys.executable).with_name("imaging"))


def environment(folder: Path, **more: str) -> dict[str, str]:
    # No colours and a plain width: the output is read by this test.
    own = {"IMAGING_DATA_DIR": str(folder), "COLUMNS": "80", "NO_COLOR": "1"}
    return {**os.environ, **own, "PYTHONUNBUFFERED": "1", **more}


class Started:
    """A running `imaging run` whose lines arrive in a queue."""

    def __init__(self, folder: Path, **more: str) -> None:
        self.process = subprocess.Popen(
            [IMAGING, "run", "--port", str(free_port())],
            env=environment(folder, **more),
            cwd=folder.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output = ""
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout:
            for line in self.process.stdout:
                self._lines.put(line)
        self._lines.put(None)

    def address(self) -> str:
        """Wait for the line that tells where the page is."""
        for line in iter(lambda: self._lines.get(timeout=60), None):
            self.output += line
            if match := re.search(r"http://[\d.:]+", line):
                return match.group()
        pytest.fail(f"no address in:\n{self.output}")

    def rest(self) -> str:
        return "".join(iter(lambda: self._lines.get(timeout=20) or "", ""))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def half_an_upload(url: str) -> socket.socket:
    """Begin what will never end: a request whose body stops coming."""
    address = httpx.URL(url)
    connection = socket.create_connection((address.host, address.port or 80))
    connection.sendall(
        b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
    )
    return connection


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "data"
    yield folder
    for pid in below(folder):
        os.kill(pid, signal.SIGKILL)


def test_demo_shows_a_table_and_ends_with_0(folder: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [IMAGING, "demo"],
        # What is shared with others is none of its business, whether it works or not.
        env=environment(folder, IMAGING_QUEUE_URL="redis://nowhere.invalid", IMAGING_S3_BUCKET="x"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for path in sample_photographs():
        assert path.name in done.stdout
    assert "…" not in done.stdout, "the table is too wide for 80 columns"
    assert list(tmp_path.iterdir()) == [], "a demo leaves nothing behind"


def test_run_serves_and_ctrl_c_ends_all_of_it_with_a_page_open(folder: Path) -> None:
    with Started(folder) as started, httpx.Client(base_url=started.address()) as client:
        uploads = client.get("/uploads").json()["uploads"]
        names = {path.name for path in sample_photographs()}
        assert {one["filename"] for one in uploads if one["status"] == "SUCCESS"} == names

        slow = client.post("/upload", files={"file": ("slow.png", pictures.slow_png())}).json()
        with client.stream("GET", f"/upload/{slow['id']}/events") as stream:
            lines = stream.iter_lines()
            next(line for line in lines if "running" in line)
            stalled = half_an_upload(str(client.base_url))
            started.process.send_signal(signal.SIGINT)
            # Neither the open stream nor the stalled upload would ever end by itself in this time.
            assert started.process.wait(20) == 0, started.rest()
            stalled.close()
        assert "Traceback" not in started.rest()
    assert below(folder) == []


@pytest.mark.parametrize("queue", ["redis_url", "postgres_url"])
def test_run_works_on_servers_and_leaves_nothing_here(
    folder: Path, s3_server: S3, request: pytest.FixtureRequest, queue: str
) -> None:
    shared = {
        "IMAGING_QUEUE_URL": request.getfixturevalue(queue),
        "IMAGING_API_KEYS": "ann:hush",
        **in_environment(s3_server),
    }
    # The server makes a bucket for whoever first writes to it.
    made = described(s3_server, name=shared["IMAGING_S3_BUCKET"])
    S3Storage(made, temporary=folder).put("first", b"")
    with Started(folder, **shared) as started, httpx.Client(base_url=started.address()) as client:
        uploads = client.get("/uploads", headers={"X-API-Key": "hush"}).json()["uploads"]
        assert {one["status"] for one in uploads} == {"SUCCESS"}
        for one in uploads:
            found = client.get(one["result"]["thumbnail"], follow_redirects=True)
            assert found.headers["server"].startswith("SeaweedFS")
            assert found.headers["content-type"] == "image/jpeg"
        started.process.send_signal(signal.SIGTERM)
        started.process.wait(20)
        assert "Traceback" not in started.rest()
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_a_second_start_does_not_fill_the_gallery_again(folder: Path) -> None:
    counts = []
    for _ in range(2):
        with Started(folder) as started, httpx.Client(base_url=started.address()) as client:
            counts.append(len(client.get("/uploads").json()["uploads"]))
            started.process.send_signal(signal.SIGTERM)
            started.process.wait(10)
    photographs = len(sample_photographs())
    assert counts == [photographs, photographs + 1]


def test_a_worker_beside_the_service_does_its_work(own_service: Running) -> None:
    own_service.start(IMAGING_WORKER="false")
    upload_id = own_service.accepted("x.jpg", pictures.photograph())
    worker = own_service.spawn([IMAGING, "worker", "--grace", "5"])
    assert own_service.finished(upload_id)["status"] == "SUCCESS"
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0


def test_a_taken_port_is_one_line(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [IMAGING, "run", "--port", str(port)],
            env=environment(folder),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"imaging: cannot listen on 127.0.0.1:{port}: Address already in use. "
        "Choose another port with --port or IMAGING_PORT.\n"
    )


def test_a_demo_that_cannot_work_says_why(folder: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [IMAGING, "demo"],
        # Nothing is small enough for this limit.
        env={**environment(folder), "IMAGING_MAX_BYTES": "10"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("imaging: POST /upload answered 413")


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        ("IMAGING_PORT", "many", "imaging: IMAGING_PORT: Input should be a valid integer"),
        ("IMAGING_PRESETS", "[7]", "imaging: IMAGING_PRESETS: preset 1: Input should be a valid"),
        ("IMAGING_PICTURE_MEMORY", "much", "imaging: IMAGING_PICTURE_MEMORY: memory='much': must"),
        ("IMAGING_DATA_DIR", "/dev/null/x", "imaging: [Errno 20] Not a directory"),
    ],
)
def test_a_wrong_setting_is_one_line(folder: Path, setting: str, value: str, reason: str) -> None:
    done = subprocess.run(
        [IMAGING, "run"],
        env={**environment(folder), "IMAGING_PORT": str(free_port()), setting: value},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(reason)
    assert done.stderr.count("\n") == 1


def test_the_readme_lists_every_setting() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    for name, field in settings.Settings.model_fields.items():
        line = next(
            one for one in readme.splitlines() if one.startswith(f"| `IMAGING_{name.upper()}`")
        )
        # The presets have a section of their own.
        assert ("#presets" if name == "presets" else f"`{field.default}`") in line
