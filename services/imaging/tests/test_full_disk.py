"""A disk without room: said so, with nothing lost of what was accepted."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from services.imaging.tests import pictures
from services.imaging.tests.running import Running, file

pytestmark = pytest.mark.timeout(120)

# In a user namespace of its own, anybody may mount a small disk, seen by these processes alone.
ALONE = ["unshare", "--user", "--map-root-user", "--mount"]
MOUNTED = 'mount -t tmpfs -o size=24m none "$SMALL_DISK" && exec "$@"'


class SmallDisk(Running):
    """A service whose data folder, or a folder in it, is a disk of 24 MB."""

    def start_on(self, place: str) -> None:
        disk = self.folder / place
        disk.mkdir(parents=True)
        process = self.start(SMALL_DISK=str(disk))
        self.get("/healthz")
        # As the service sees it.
        self.inside = Path(f"/proc/{process.pid}/root", *disk.parts[1:])

    def spawn(
        self, command: list[str], *, pass_fds: tuple[int, ...] = (), **environment: str
    ) -> subprocess.Popen[bytes]:
        alone = [*ALONE, "/bin/sh", "-c", MOUNTED, "sh", *command]
        return super().spawn(alone, pass_fds=pass_fds, **environment)

    def fill(self) -> None:
        """Leave not a byte."""
        with (self.inside / "filler").open("wb", buffering=0) as filler:
            for size in (1 << 20, 1 << 12, 1):
                with suppress(OSError):
                    while True:
                        filler.write(bytes(size))

    def free(self) -> None:
        (self.inside / "filler").unlink()

    def strays(self) -> list[Path]:
        return [path for path in self.inside.rglob("tmp/*") if path.is_file()]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    allowed = subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode == 0
    if not allowed:
        assert os.environ.get("CI") != "true", "CI must allow user namespaces"
        pytest.skip("this machine allows no user namespaces")
    with SmallDisk(tmp_path / "imaging") as running:
        yield running


def refused(service: Running) -> bool:
    answer = service.upload(file("x.jpg", pictures.photograph()))
    return (answer.status_code, answer.json()["code"]) == (507, "insufficient_storage")


def test_a_full_disk_is_said_and_what_was_accepted_finishes(small_disk: SmallDisk) -> None:
    small_disk.start_on(".")
    accepted = small_disk.accepted("slow.png", pictures.slow_png())
    small_disk.fill()
    assert refused(small_disk)
    small_disk.free()
    assert small_disk.finished(accepted)["status"] == "SUCCESS"
    assert small_disk.finished(small_disk.accepted("x.jpg", pictures.photograph()))


def test_outputs_wait_until_there_is_room_for_them(small_disk: SmallDisk) -> None:
    small_disk.start_on("files")
    accepted = small_disk.accepted("slow.png", pictures.slow_png())
    with small_disk.events(accepted) as events:
        assert next(event for event in events if event["status"] == "running")
        small_disk.fill()
        assert next(event for event in events if event["status"] == "pending")
    assert refused(small_disk)
    assert small_disk.strays() == []
    small_disk.free()
    assert small_disk.finished(accepted)["status"] == "SUCCESS"
    assert small_disk.get(f"/tasks/jobs/{accepted}/errors") == [], "an attempt was used up"
