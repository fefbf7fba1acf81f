"""Where the queue and the pictures are: what may be said, and what is refused in plain words."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from imaging.main import main
from imaging.settings import Settings
from imaging.storage import LocalStorage, open_storage
from imaging.storage.s3 import S3Storage
from tests.servers.ports import free_port

IMAGING = str(Path(sys.executable).with_name("imaging"))
SCHEMES = "postgresql://, postgres://, redis://, rediss://, redis+unix://, valkey://, valkeys://"
BUCKET = {"S3_BUCKET": "pictures", "S3_ACCESS_KEY": "ours", "S3_SECRET_KEY": "hush"}


def said(monkeypatch: pytest.MonkeyPatch, folder: Path, **values: str) -> Settings:
    for name, value in {"DATA_DIR": str(folder), **values}.items():
        monkeypatch.setenv(f"IMAGING_{name}", value)
    return Settings()


def test_nothing_said_is_a_file_and_a_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = said(monkeypatch, tmp_path, QUEUE_URL="", S3_BUCKET="", S3_SECRET_KEY="")
    assert settings.queue == str(tmp_path / "queue.db")
    assert isinstance(open_storage(settings), LocalStorage)


def test_a_bucket_takes_the_folder_s_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = said(monkeypatch, tmp_path, S3_REGION="eu-west-1", **BUCKET)
    storage = open_storage(settings)
    assert isinstance(storage, S3Storage)
    assert storage.bucket.endpoint == "https://s3.eu-west-1.amazonaws.com"
    link = storage.link("a/b", seconds=60, filename="x.jpg", media_type="image/jpeg")
    assert link
    assert link.startswith("https://s3.eu-west-1.amazonaws.com/pictures/a/b?")


def test_clients_may_reach_the_bucket_elsewhere_or_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = {
        "S3_ENDPOINT": "http://s3:8333/",
        "S3_PUBLIC_ENDPOINT": "https://pictures.test",
        **BUCKET,
    }
    storage = open_storage(said(monkeypatch, tmp_path, **own))
    assert isinstance(storage, S3Storage)
    assert storage.bucket.endpoint == "http://s3:8333"
    link = storage.link("a/b", seconds=60, filename="x.jpg", media_type="image/jpeg")
    assert link
    assert link.startswith("https://pictures.test/pictures/a/b?")

    private = open_storage(said(monkeypatch, tmp_path, S3_LINKS="false", **own))
    assert private.link("a/b", seconds=60, filename="x.jpg", media_type="image/jpeg") is None


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = said(monkeypatch, tmp_path, QUEUE_URL="redis://:pass@host/0", **BUCKET)
    assert "hush" not in repr(settings)
    assert "pass@" not in repr(settings)
    assert settings.queue == "redis://:pass@host/0"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (
            {"S3_BUCKET": "pictures"},
            "IMAGING_S3_BUCKET also needs IMAGING_S3_ACCESS_KEY and IMAGING_S3_SECRET_KEY",
        ),
        (
            {"S3_BUCKET": "pictures", "S3_ACCESS_KEY": "ours"},
            "IMAGING_S3_BUCKET also needs IMAGING_S3_SECRET_KEY",
        ),
        (
            {"S3_ACCESS_KEY": "ours", "S3_SECRET_KEY": "hush"},
            "IMAGING_S3_ACCESS_KEY also needs IMAGING_S3_BUCKET",
        ),
        (
            {"S3_ENDPOINT": "http://s3:8333"},
            f"IMAGING_S3_ENDPOINT also needs {' and '.join(f'IMAGING_{name}' for name in BUCKET)}",
        ),
        (
            {**BUCKET, "S3_ENDPOINT": "s3:8333"},
            "IMAGING_S3_ENDPOINT: must begin with https:// or http://",
        ),
        (
            {"QUEUE_URL": "amqp://broker"},
            f"IMAGING_QUEUE_URL: must begin with one of {SCHEMES}",
        ),
    ],
)
def test_half_a_configuration_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    values: dict[str, str],
    reason: str,
) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    for name, value in {"DATA_DIR": str(tmp_path / "data"), **values}.items():
        monkeypatch.setenv(f"IMAGING_{name}", value)
    assert main(["run"]) == 1
    assert capsys.readouterr() == ("", f"imaging: {reason}\n")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", ["run", "worker"])
def test_a_queue_that_is_not_there_is_one_line(tmp_path: Path, command: str) -> None:
    away = f"127.0.0.1:{free_port()}"
    assert away in failing(tmp_path, command, {"QUEUE_URL": f"redis://{away}/0"})


def test_a_bucket_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    line = failing(tmp_path, "run", {**BUCKET, "S3_ENDPOINT": f"http://127.0.0.1:{free_port()}"})
    assert line.startswith("imaging: the bucket refuses: ")
    assert "hush" not in line


def test_an_extra_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # What an installation without the extra has: no such module.
    monkeypatch.delitem(sys.modules, "imaging.storage.s3")
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'imaging\[s3\]'"):
        open_storage(said(monkeypatch, tmp_path, **BUCKET))


def failing(folder: Path, command: str, values: dict[str, str]) -> str:
    done = subprocess.run(
        [IMAGING, command],
        env={
            **os.environ,
            "IMAGING_DATA_DIR": str(folder),
            **{f"IMAGING_{name}": value for name, value in values.items()},
        },
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_it_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert (end.value.code, capsys.readouterr().out) == (0, f"imaging {version('imaging')}\n")
