"""Whatever is sent, there is an answer, and it is one of ours."""

from pathlib import Path

import pytest

from services.imaging.tests.fuzz.crafted import CRAFTED
from services.imaging.tests.fuzz.mutate import bases, mutant
from services.imaging.tests.fuzz.run import run

MUTANTS = 2000


@pytest.mark.timeout(400)
def test_hostile_files_are_refused_or_processed_and_nothing_else(tmp_path: Path) -> None:
    report = run(MUTANTS, 1, tmp_path)
    assert report.faults == []
    assert report.outcomes.total() == MUTANTS + len(CRAFTED)
    assert report.over_http.total() == MUTANTS // 20 + len(CRAFTED)
    # A share each, or the files would not try what they are meant to try.
    for stage in ("accepted", "refused", "failed"):
        share = sum(n for outcome, n in report.outcomes.items() if outcome.startswith(stage))
        assert share > MUTANTS / 20, report.outcomes


def test_a_mutant_comes_back_by_its_number() -> None:
    assert mutant(1, 17) == mutant(1, 17) != mutant(2, 17)
    assert mutant(1, 17) not in bases()
