"""A small run of what `make evidence-images` does in full size."""

from pathlib import Path

import pytest

from services.imaging.tests.crash.harness import run

IMAGES, KILLS = 40, 5


@pytest.mark.timeout(300)
def test_every_picture_ends_well_and_once_whatever_is_killed(tmp_path: Path) -> None:
    report = run(tmp_path / "imaging", IMAGES, KILLS, seed=1)
    assert report.faults == []
    assert len(report.acknowledged) == IMAGES
    assert report.killed.count("the web process") == 1
    assert len(report.killed) == KILLS + 1
    assert report.attempts_lost, "no kill met a worker at work"
    assert report.left_for_the_janitor, "the web process had nothing in its hands"
