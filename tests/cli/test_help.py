"""The help teaches: an example for each command, and one that is right."""

import re
import shlex
from importlib.metadata import version
from pathlib import Path

import pytest
import typer.main

from offload.cli.main import app
from tests.cli.terminal import Terminal


def commands() -> dict[str, list[str]]:
    """Return the words of each command, groups included."""
    found = {}
    root = typer.main.get_command(app)
    for name, command in getattr(root, "commands", {}).items():
        found[name] = [name]
        for below in getattr(command, "commands", {}):
            found[f"{name} {below}"] = [name, below]
    return found


@pytest.mark.parametrize("words", commands().values(), ids=list(commands()))
def test_each_command_has_an_example_of_itself(terminal: Terminal, words: list[str]) -> None:
    shown = terminal(*words, "--help")
    assert shown.code == 0
    assert all(len(line) <= 80 for line in shown.out.splitlines())
    [example] = [line.strip() for line in shown.lines if "Example: " in line]
    typed = shlex.split(example.removeprefix("Example: "))
    assert typed[: len(words) + 1] == ["offload", *words]
    # A move names two stores, and needs no tasks.
    assert "app:queue" in typed or "--from" in typed


def test_each_command_is_on_its_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `offload ([a-z]+(?: [a-z]+)?)", page, re.MULTILINE)
    assert sorted(rows) == sorted(commands())


def test_there_is_a_command_for_each_of_these() -> None:
    assert set(commands()) >= {
        "worker", "info", "doctor", "purge",
        "jobs", "jobs show", "jobs cancel", "jobs replay",
        "dead", "dead retry", "dead purge",
        "schedules", "schedules pause", "schedules resume", "schedules trigger", "schedules delete",
        "queues", "queues pause", "queues resume", "move",
    }  # fmt: skip


def test_it_says_its_version(terminal: Terminal) -> None:
    assert terminal("--version").out == f"offload {version('offload')}\n"
