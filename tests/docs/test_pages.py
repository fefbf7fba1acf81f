"""What the pages show works."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import blocks

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\[[^\]]+\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path) -> None:
    expected = [block for block in blocks(page.read_text()) if not block.is_skipped]
    if not expected:
        return
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.docs.pages", str(page)],
        cwd=tmp_path,
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{len(expected)} blocks"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        assert (page.parent / link).exists(), link


def test_the_readme_leads_to_every_page() -> None:
    linked = {(ROOT / link).resolve() for link in LINK.findall((ROOT / "README.md").read_text())}
    assert [page.name for page in PAGES if page.name != "README.md" and page not in linked] == []


def test_a_block_that_cannot_be_run_says_why() -> None:
    for page in PAGES:
        for block in blocks(page.read_text()):
            assert not block.is_skipped or block.note.removeprefix("skip:").strip()


def test_blocks_are_found_with_their_lines_and_notes() -> None:
    page = "# A page\n\n<!-- worker -->\n```python\nx = 1\n```\n\n"
    page += "```sh\nls\n```\n\n```python\ny\n```\n"
    first, second = blocks(page)
    assert (first.code, first.line, first.note) == ("x = 1\n", 4, "worker")
    assert (second.code, second.line, second.note) == ("y\n", 12, "")
