"""What the compose files say, run as processes of this machine instead of containers."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.servers.ports import free_port

DEPLOY = Path(__file__).parents[1] / "deploy"
PATIENCE = 90.0
SECRETS = {
    "POSTGRES_PASSWORD": "hush-postgres",
    "IMAGING_S3_ACCESS_KEY": "hush-access",
    "IMAGING_S3_SECRET_KEY": "hush-secret",
}
Service = dict[str, Any]


def compose(*files: str | Path, secrets: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Let Docker Compose itself read the files as one, for which it needs no daemon."""
    spec = find_spec("compose")
    assert spec
    assert spec.origin
    # The program itself, because the package's command always says that all is well.
    program = Path(spec.origin).with_name("docker-compose")
    named = [word for file in files for word in ("-f", str(DEPLOY / file))]
    return subprocess.run(
        [program, *named, "config", "--format", "json"],
        env={"PATH": os.environ["PATH"], **secrets},
        capture_output=True,
        text=True,
        check=False,
    )


def read(*files: str) -> dict[str, Any]:
    """Give what the files say, with secrets."""
    done = compose(*files, secrets=SECRETS)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


class Stack:
    """Services of compose files, each of their ports a free one of this machine."""

    def __init__(self, services: dict[str, Service], folder: Path) -> None:
        self.services = services
        self.folder = folder
        self.ports = {port: str(free_port()) for port in ("8000", "8333", "6379", "5432")}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, program: Sequence[str] = (), more: Sequence[str] = ()) -> None:
        """Run the service's command: by this program, where the image has one of its own."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [*program, *self.here(name, *self.services[name]["command"]), *more],
                env=self._environment(name),
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_healthy(self, name: str) -> None:
        """Repeat the service's own health check until it says yes."""
        deadline = time.monotonic() + PATIENCE
        while self._complaint(name):
            running = self._running.get(name)
            is_over = running is not None and running.poll() is not None
            if is_over or time.monotonic() > deadline:
                raise AssertionError(f"{name}: {self._complaint(name)}\n{self.log(name)}")

    def stop(self, name: str) -> None:
        """End it as Docker does, within its own grace."""
        running = self._running.pop(name)
        running.send_signal(signal.SIGTERM)
        seconds = int(self.services[name].get("stop_grace_period", "10s").removesuffix("s"))
        assert running.wait(seconds) in {0, -signal.SIGTERM}, self.log(name)

    def kill(self, name: str) -> None:
        running = self._running.pop(name)
        running.kill()
        running.wait()

    def remove(self) -> None:
        for name in list(self._running):
            self.kill(name)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def here(self, name: str, *words: str) -> list[str]:
        """Say it for this machine: its ports, its one host, a folder for each volume."""
        return [self._here(name, word) for word in words]

    def _here(self, name: str, word: str) -> str:
        for volume in self.services[name].get("volumes", ()):
            if word.removeprefix("-dir=") == volume["target"]:
                folder = self.folder / volume["source"]
                folder.mkdir(exist_ok=True)
                return word.replace(volume["target"], str(folder))
        others = "|".join(self.services)
        word = re.sub(rf"(?<=[/@])(?:{others})(?=:\d)|0\.0\.0\.0", "127.0.0.1", word)
        ports = "|".join(self.ports)
        return re.sub(rf"(?<!\d)(?:{ports})(?!\d)", lambda found: self.ports[found[0]], word)

    def _environment(self, name: str) -> dict[str, str]:
        said = self.services[name].get("environment", {})
        own = {key: self._here(name, value) for key, value in said.items()}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        kept = {key: os.environ[key] for key in ("PYTHONPATH",) if key in os.environ}
        return {"PATH": path, "HOME": str(self.folder), **kept, **own}

    def _complaint(self, name: str) -> str:
        kind, *words = self.services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        done = subprocess.run(
            self.here(name, *words),
            env=self._environment(name),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return f"{done.returncode}: {done.stdout}{done.stderr}" if done.returncode else ""


@contextmanager
def stack(folder: Path, *files: str) -> Iterator[Stack]:
    """Yield the services of these files, none of them started; what runs then is ended."""
    found = Stack(read(*files)["services"], folder)
    try:
        yield found
    finally:
        found.remove()
