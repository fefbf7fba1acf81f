"""The compose files: Docker Compose accepts them, and what they say to run works."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from imaging.settings import Settings
from services.imaging.tests import pictures, test_curl
from services.imaging.tests.stacks import DEPLOY, SECRETS, Stack, compose, read, stack
from tests.servers import seaweed, valkey
from tests.servers.postgres import PostgresServer

pytestmark = pytest.mark.timeout(180)

BASE = ("compose.yaml",)
POSTGRES = (*BASE, "compose.postgres.yaml")
S3 = (*BASE, "compose.s3.yaml")
BOTH = (*POSTGRES, "compose.s3.yaml")
ALL = [BASE, POSTGRES, S3, BOTH]


@pytest.mark.parametrize("files", ALL)
def test_every_combination_is_valid_and_whole(files: tuple[str, ...]) -> None:
    services = read(*files)["services"]
    servers = {"valkey" if files in {BASE, S3} else "postgres"}
    servers |= {"s3"} if files in {S3, BOTH} else set()
    assert set(services) == {"api", "worker"} | servers
    for name in ("api", "worker"):
        assert set(services[name]["depends_on"]) == servers
        assert {need["condition"] for need in services[name]["depends_on"].values()} == {
            "service_healthy"
        }
    assert all(service["healthcheck"]["test"] for service in services.values())
    assert all(service["restart"] == "unless-stopped" for service in services.values())


def test_compose_finds_what_is_wrong(tmp_path: Path) -> None:
    # Or the tests above would show nothing.
    (tmp_path / "compose.yaml").write_text("services: {a: {image: x, depends_on: [none]}}")
    assert compose(tmp_path / "compose.yaml", secrets={}).returncode != 0


def test_only_settings_that_there_are_are_set_and_described() -> None:
    known = {f"IMAGING_{name.upper()}" for name in Settings.model_fields} | {"IMAGING_PUBLISH"}
    page = DEPLOY.parents[2] / "docs" / "deploy.md"
    for file in (page, *DEPLOY.rglob("*.yaml"), DEPLOY / "Dockerfile"):
        assert set(re.findall(r"\bIMAGING_[A-Z0-9_]+", file.read_text())) <= known, file


@pytest.mark.parametrize("missing", sorted(SECRETS))
def test_a_secret_has_no_default(missing: str) -> None:
    others = {name: value for name, value in SECRETS.items() if name != missing}
    done = compose(*BOTH, secrets=others)
    assert done.returncode != 0
    assert f"required variable {missing} is missing" in done.stderr


@pytest.mark.parametrize("files", ALL)
def test_all_that_is_kept_is_in_named_volumes(files: tuple[str, ...]) -> None:
    said = read(*files)
    for name, service in said["services"].items():
        assert service["volumes"], f"{name} would keep things in its container"
        for volume in service["volumes"]:
            # So that `down` keeps it and `down -v` removes it.
            assert (volume["type"], volume["source"] in said["volumes"]) == ("volume", True)
    assert not any(volume.get("external") for volume in said["volumes"].values())


def test_only_the_api_is_reached_from_outside_and_only_from_this_machine() -> None:
    said = read(*BOTH)
    ports = {name: service.get("ports", []) for name, service in said["services"].items()}
    assert [name for name, published in ports.items() if published] == ["api"]
    assert [port["host_ip"] for port in ports["api"]] == ["127.0.0.1"]
    for name in ("postgres", "s3"):
        assert list(said["services"][name]["networks"]) == ["inside"]
    assert said["networks"]["inside"]["internal"]


def test_our_containers_can_do_little() -> None:
    for name in ("api", "worker"):
        service = read(*BASE)["services"][name]
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]


def test_each_has_more_time_to_end_than_it_takes() -> None:
    services = read(*BASE)["services"]
    api, worker = services["api"], services["worker"]
    assert _after(api["command"], "--timeout-graceful-shutdown") < _seconds(api)
    assert _after(worker["command"], "--grace") < _seconds(worker)


def test_on_valkey_and_a_folder_it_works_as_typed_and_keeps_all(tmp_path: Path) -> None:
    with stack(tmp_path, *BASE) as running:
        service = running.services["valkey"]
        assert service["command"].pop(0) == "valkey-server"
        # The package has no client; this is what the client asks.
        assert service["healthcheck"]["test"] == ["CMD", "valkey-cli", "ping"]
        service["healthcheck"]["test"] = ["CMD", "python", "-c", PING, running.ports["6379"]]
        own = ["--port", "6379", "--bind", "127.0.0.1", "--dir", "/data"]
        _lives(running, "valkey", [valkey.program()], running.here("valkey", *own))


def test_on_postgres_and_a_bucket_it_works_as_typed_and_keeps_all(tmp_path: Path) -> None:
    with stack(tmp_path, *BOTH) as running, _postgres(running):
        running.wait_until_healthy("postgres")
        _lives(running, "s3", [seaweed.program()], list(seaweed.free_ports()))
        assert not list((tmp_path / "pictures").rglob("originals/*")), "not in the bucket"


INSIST = "--retry 60 --retry-delay 1 --retry-all-errors"
PING = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
    connection.sendall(b"PING\\r\\n")
    assert connection.recv(7) == b"+PONG\\r\\n"
"""


@contextmanager
def _postgres(running: Stack) -> Iterator[None]:
    """Run a server that has what its image makes of the service's environment."""
    said = running.services["postgres"]["environment"]
    server = PostgresServer()
    try:
        server.start()
        running.ports["5432"] = str(server.port)
        with psycopg.connect(server.url, autocommit=True) as connection:
            user, database = said["POSTGRES_USER"], said["POSTGRES_DB"]
            connection.execute(f"CREATE ROLE {user} LOGIN".encode())
            connection.execute(f"CREATE DATABASE {database} OWNER {user}".encode())
        yield
    finally:
        server.remove()


def _lives(running: Stack, server: str, program: list[str], options: list[str]) -> None:
    """Use it as its page shows, take it down and up again, and find everything."""
    _up(running, server, program, options)
    path = _typed_flow(running)
    for name in ("worker", "api"):
        running.stop(name)
    # Docker kills what does not end in time, and what was acknowledged survives that, too.
    running.kill(server)
    _up(running, server, program, options)
    _download(running, path)


def _up(running: Stack, server: str, program: list[str], options: list[str]) -> None:
    running.start(server, program, options)
    running.wait_until_healthy(server)
    for name in ("api", "worker"):
        running.start(name)
        running.wait_until_healthy(name)
    # Healthy is who answers; ready is who reaches the others, and those may still be starting.
    _typed(running, f"curl -fsS {INSIST} http://localhost:8000/readyz")


def _typed_flow(running: Stack) -> str:
    """Type what service guides show; give the path of the thumbnail."""
    shutil.copy(pictures.sample("mountains.jpg"), running.folder / "sample.jpg")
    task = json.loads(_typed(running, test_curl.UPLOAD))["task_id"]
    # The one line that is not of the guide: it says to look again and again.
    _typed(running, f'curl -s "http://localhost:8000/tasks/jobs/{task}/result?timeout=60"')
    assert json.loads(_typed(running, test_curl.STATUS, TASK_ID=task))["status"] == "SUCCESS"
    found = json.loads(_typed(running, test_curl.RESULT, TASK_ID=task))
    path = str(found["result"]["thumbnail"])
    assert path == f"/files/processed/{task}/sample_thumbnail.jpeg"
    _download(running, path)
    return path


def _download(running: Stack, path: str) -> None:
    _typed(running, test_curl.DOWNLOAD, THUMBNAIL_PATH=path)
    image = pictures.load((running.folder / "final_thumbnail.jpeg").read_bytes())
    assert (image.width, image.height) == (256, 192)


def _typed(running: Stack, command: str, **variables: str) -> str:
    return subprocess.run(
        ["/bin/sh", "-ec", command.replace(":8000", f":{running.ports['8000']}")],
        cwd=running.folder,
        env={"PATH": os.environ["PATH"], "no_proxy": "localhost", **variables},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def _after(command: list[str], option: str) -> int:
    return int(command[command.index(option) + 1])


def _seconds(service: dict[str, str]) -> int:
    return int(service["stop_grace_period"].removesuffix("s"))
