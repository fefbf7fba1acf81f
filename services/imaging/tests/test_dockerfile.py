"""The Dockerfile, read as Docker reads it; there is no daemon here to build it."""

import io
import json
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from dockerfile_parse import DockerfileParser

from services.imaging.tests.stacks import DEPLOY, read

ROOT = Path(__file__).parents[3]
FILE = DEPLOY / "Dockerfile"
Step = tuple[str, str]


@pytest.fixture
def stages() -> list[list[Step]]:
    """Return the instructions of each stage."""
    found: list[list[Step]] = []
    parsed = DockerfileParser(fileobj=io.BytesIO(FILE.read_bytes()))
    step: dict[str, Any]
    for step in parsed.structure:
        if step["instruction"] == "FROM":
            found.append([])
        if step["instruction"] != "COMMENT":
            found[-1].append((step["instruction"], step["value"]))
    return found


def values(stage: list[Step], instruction: str) -> list[str]:
    return [value for name, value in stage if name == instruction]


def test_it_is_built_in_one_stage_and_runs_in_another(stages: list[list[Step]]) -> None:
    build, final = stages
    assert values(build, "FROM") == ["python:3.11-slim AS build"]
    assert values(final, "FROM") == ["python:3.11-slim"]
    # Nothing that only building needs is in what runs.
    assert values(final, "COPY") == ["--from=build /opt/imaging /opt/imaging"]


def test_nothing_is_fetched_but_pinned_packages(stages: list[list[Step]]) -> None:
    assert "syntax=" not in FILE.read_text(encoding="utf-8"), "a frontend would be fetched"
    commands = [
        part for stage in stages for run in values(stage, "RUN") for part in run.split("&&")
    ]
    installs = [shlex.split(one) for one in commands if "pip install" in one]
    for words in installs:
        asked = {word for word in words[2:] if not word.startswith("-")}
        own = {".", "./services/imaging"}
        assert "--no-deps" in words if asked & own else "--require-hashes" in words
        assert not asked - own - {"requirements/build.txt", "requirements/run.txt"}
    assert len(installs) == 3
    fetching = re.compile(r"\b(?:apt|apt-get|apk|curl|wget|git|npm)\b")
    assert not [one for one in commands if fetching.search(one)]
    assert not [value for stage in stages for value in values(stage, "ADD")]


def test_it_runs_as_a_number_that_is_not_root(stages: list[list[Step]]) -> None:
    final = stages[-1]
    [user] = values(final, "USER")
    assert [int(part) > 0 for part in user.split(":")] == [True, True]
    names = [name for name, _ in final]
    assert names.index("USER") > max(n for n, name in enumerate(names) if name in {"RUN", "COPY"})
    [folder] = values(final, "VOLUME")
    assert f"-o {user.partition(':')[0]} " in " ".join(values(final, "RUN"))
    assert f"IMAGING_DATA_DIR={folder}" in " ".join(values(final, "ENV"))


def test_there_is_no_secret_in_it(stages: list[list[Step]]) -> None:
    said = [value for stage in stages for name in ("ENV", "ARG") for value in values(stage, name)]
    assert not re.search(r"KEY|SECRET|PASSWORD|TOKEN|QUEUE_URL", " ".join(said))
    # The address of an index may hold a password, so it is no default and not in what runs.
    assert values(stages[0], "ARG") == ["PIP_INDEX_URL"]
    assert values(stages[1], "ARG") == []


def test_what_it_copies_is_there_and_is_sent_to_the_builder(stages: list[list[Step]]) -> None:
    ignore = FILE.with_suffix(".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = [line.removeprefix("!") for line in ignore if line.startswith("!")]
    assert ignore[1] == "*"
    for copy in values(stages[0], "COPY"):
        for source in copy.split()[:-1]:
            assert (ROOT / source).exists()
            assert any(Path(source).match(pattern) for pattern in allowed), source


def test_what_it_starts_is_what_compose_starts(stages: list[list[Step]]) -> None:
    service = read("compose.yaml")["services"]["api"]
    [command] = values(stages[-1], "CMD")
    assert json.loads(command) == service["command"]
    [check] = values(stages[-1], "HEALTHCHECK")
    assert json.loads(check[check.index("[") :]) == service["healthcheck"]["test"][1:]


def test_every_command_is_one_that_the_packages_bring() -> None:
    services = read("compose.yaml")["services"]
    ours = [services[name] for name in ("api", "worker")]
    commands = {service["command"][0] for service in ours}
    commands |= {service["healthcheck"]["test"][1] for service in ours}
    assert commands == {"uvicorn", "imaging", "offload", "python"}
    for name in commands:
        assert shutil.which(name, path=Path(sys.executable).parent)
