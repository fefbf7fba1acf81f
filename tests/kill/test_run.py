"""Real workers and producers, killed and stopped while they work; and the stored evidence."""

import lzma
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from tests.kill.harness import ROOT, Harness, Load
from tests.kill.history import read, write
from tests.kill.report import history_of, recheck, store
from tests.kill.rules import check
from tests.kill.tale import LEASE, Tale

EVIDENCE = [path for path in sorted(ROOT.glob("docs/evidence/*.json")) if history_of(path).exists()]


async def counted(load: Load, folder: Path) -> dict[str, int]:
    """Run, see that no promise was broken, and return what there was to count."""
    with closing(Harness(load, folder)) as harness, Progress(console=Console(quiet=True)) as shown:
        await harness.run(shown)
    findings = check(read(folder / "history"))
    assert findings.violations == [], (folder / "log").read_text()[-10_000:]
    return findings.counts


@pytest.mark.timeout(180)  # a minute on two idle cores
async def test_what_is_killed_or_stopped_loses_nothing(tmp_path: Path) -> None:
    load = Load(
        jobs=3000,
        workers=4,
        producers=2,
        kills=30,
        stops=15,
        producer_kills=8,
        seed=1,
        lease=1.5,
        rest=0.2,
    )
    counts = await counted(load, tmp_path)
    assert counts["asked"] == 3000
    assert counts["kill of all"] + counts["kill of one"] == 30
    assert counts["stop of all"] + counts["stop of one"] == 15
    # The faults came while there was something to be hurt.
    assert counts["runs hit by a fault"] >= 15
    assert counts["duplicate effects"] >= 1


@pytest.mark.timeout(120)  # some fifteen seconds on two idle cores
@pytest.mark.parametrize("store", ["postgres", "redis"])
async def test_nor_does_a_server_that_is_killed_or_cut_off(store: str, tmp_path: Path) -> None:
    load = Load(
        jobs=300,
        workers=2,
        producers=1,
        kills=3,
        stops=1,
        producer_kills=1,
        seed=1,
        lease=1.5,
        rest=0.2,
        store=store,
        cuts=4,
        outages=3,
        calm=0.5,
    )
    counts = await counted(load, tmp_path)
    assert counts["asked"] == 300
    assert counts["kill of server"] == 2
    assert counts["stop of server"] == counts["freeze of link"] == counts["lose of link"] == 1
    assert counts["runs hit by a fault"] >= 1


@pytest.mark.parametrize("report", EVIDENCE, ids=lambda path: path.stem)
def test_stored_evidence_still_shows_what_it_says(report: Path) -> None:
    assert recheck(report).violations == []


def test_evidence_that_was_changed_is_refused(tmp_path: Path) -> None:
    """Neither other numbers nor another history pass for it."""
    load = Load(
        jobs=1,
        workers=1,
        producers=1,
        kills=0,
        stops=0,
        producer_kills=0,
        seed=0,
        lease=LEASE,
        rest=0.1,
    )
    told = Tale().enqueue().run(1).keep()
    findings = told.end()
    write(tmp_path / "history", told.events)
    report = tmp_path / "run.json"
    store(report, load, findings, tmp_path / "history", seconds=1.0, versions={})
    assert recheck(report) == findings
    honest = report.read_text()
    report.write_text(honest.replace('"effects": 1', '"effects": 2'))
    with pytest.raises(ValueError, match="its history"):
        recheck(report)
    report.write_text(honest)
    history_of(report).write_bytes(lzma.compress((tmp_path / "history").read_bytes() * 2))
    with pytest.raises(ValueError, match="is not the history"):
        recheck(report)
