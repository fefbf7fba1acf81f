"""What examples/README.md tells to type works."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from tests.examples.conftest import Example

EXAMPLES = Path(__file__).parents[2] / "examples"
SECTION = re.compile(r"^`(\w+)\.py`: (.*?)(?=^`\w+\.py`|^## |\Z)", re.MULTILINE | re.DOTALL)
HELPERS = {"__init__", "database", "standins"}

README = (EXAMPLES / "README.md").read_text(encoding="utf-8")
SECTIONS: dict[str, str] = dict(SECTION.findall(README))


def commands(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.startswith("    ")]


def test_the_readme_tells_of_every_example() -> None:
    assert set(SECTIONS) == {path.stem for path in EXAMPLES.glob("*.py")} - HELPERS
    assert all(commands(section) for section in SECTIONS.values())


@pytest.mark.parametrize("name", SECTIONS)
def test_what_it_says_can_be_typed(name: str, example: Example, tmp_path: Path) -> None:
    if not shutil.which("curl"):
        assert os.environ.get("CI") != "true", "CI must have curl"
        pytest.skip("there is no curl on this machine")
    Image.new("RGB", (400, 300)).save(tmp_path / "photo.jpg")
    # curl says last, on a line of its own, what the server has answered.
    (tmp_path / ".curlrc").write_text('write-out = "\\n%{http_code}"', encoding="utf-8")
    with example(name) as site:
        said = {
            "POST": "curl -sS -H content-type:application/json",
            "APP": str(site.client.base_url).rstrip("/"),
            "ADMIN_TOKEN": getattr(site.module, "TOKEN", ""),
        }
        assert f'POST="{said["POST"]}"' in README
        for command in commands(SECTIONS[name]):
            if "…" in command:
                continue  # an id that is known only when one reads it
            done = subprocess.run(
                ["sh", "-ec", command],
                cwd=tmp_path,
                env=os.environ | said | {"CURL_HOME": str(tmp_path), "no_proxy": "*"},
                capture_output=True,
                text=True,
                timeout=30,
                check=True,
            )
            expected = "402" if "tok_declined" in command else "2"
            assert done.stdout.splitlines()[-1].startswith(expected), done.stdout
