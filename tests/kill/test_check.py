"""The checker finds what is wrong in histories that were made to be wrong, and only that."""

from pathlib import Path
from typing import Any

import pytest

from tests.kill.history import Pen, read, write
from tests.kill.rules import Findings, check
from tests.kill.tale import SUPERVISOR, Tale, failed, lost

POISONED = (*lost(1, 2), (3, "PoisonJob", "its process died 3 times"))


def rules(findings: Findings) -> set[str]:
    return {each.rule for each in findings.violations}


def tale() -> Tale:
    """A job that was enqueued."""
    return Tale().enqueue()


def hit(how: str) -> Tale:
    """A job whose first run had its effect, before its process was hit; the second is well."""
    return tale().start(1).act(1).fault(how, 101).run(2, on=111)


KEPT_TWICE: dict[str, Any] = {"attempt": 2, "lease": 2}


@pytest.mark.parametrize(
    "told",
    [
        tale().run(1).keep(),
        # failures, up to the last attempt
        tale().fail(1).run(2).keep(attempt=2, lease=2, errors=failed(1)),
        Tale().enqueue(attempts=2).fail(1).fail(2)
        .keep("dead", **KEPT_TWICE, letters=1, errors=failed(1, 2)),
        tale().fail(1).keep("failed", errors=((1, "Abort", "lease 1"),)),
        # killed: in the middle, after the end but before the report, before the start
        hit("kill").keep(**KEPT_TWICE, crashes=1, errors=lost(1)),
        tale().start(1).fault("kill", SUPERVISOR).run(2, on=111)
        .keep(**KEPT_TWICE, crashes=1, errors=lost(1)),
        tale().run(1).fault("kill", 101).run(2, on=111)
        .keep(**KEPT_TWICE, crashes=1, errors=lost(1)),
        tale().fault("kill", 101).start(2, on=111).act(2).leave(2)
        .keep(**KEPT_TWICE, crashes=1, errors=lost(1)),
        # stopped: it goes on beside its successor, and its report is refused
        tale().start(1).fault("stop", 101, seconds=4).start(2, on=111).act(1).leave(1)
        .act(2).leave(2).keep(**KEPT_TWICE, crashes=1, errors=lost(1)),
        tale().start(1).fault("stop", 101, seconds=4).run(2, on=111).leave(1, "stopped")
        .keep(**KEPT_TWICE, crashes=1, errors=lost(1)),
        # stopped between its claim and its start
        tale().fault("stop", 101, seconds=3).start(2, on=111).wait(0.5).start(1).act(2)
        .leave(2).act(1).leave(1).keep(**KEPT_TWICE, crashes=1, errors=lost(1)),
        # poison
        Tale().enqueue(attempts=9, is_poison=True).die(1).die(2).die(3)
        .keep("dead", attempt=3, lease=3, crashes=3, letters=1, errors=POISONED),
        # one death of which nobody could tell, for the worker was killed with it
        Tale().enqueue(attempts=9, is_poison=True).die(1).fault("kill", SUPERVISOR).die(2, on=111)
        .die(3, on=121).die(4, on=131)
        .keep("dead", attempt=4, lease=4, crashes=3, letters=1,
              errors=(*lost(1, 2, 3), (4, "PoisonJob", "its process died 3 times"))),
        # cancelled, or too late for it
        Tale().enqueue(may_be_cancelled=True).cancel().keep("cancelled", attempt=0, lease=0),
        Tale().enqueue(may_be_cancelled=True).start(1).cancel(done=False).act(1).leave(1).keep(),
        # asked twice because the first answer was lost
        Tale().ask().ask().store().run(1).keep(),
        # a key: free again, or held and given instead
        Tale().enqueue(key="k").run(1).enqueue("b", key="k").run(1, "b").keep().keep(job="b"),
        Tale().enqueue(key="k").ask("b", key="k").store("b", to="a").run(1).keep(),
        # the effect of a job in a process below the one that its worker's death took along
        tale().start(1).act(1).fault("kill", SUPERVISOR).exit(SUPERVISOR, -9).run(2, on=111)
        .keep(**KEPT_TWICE, crashes=1, errors=lost(1)),
        # the server was away for so long that the lease was over, at once or with a short return
        tale().start(1).act(1).outage(1.5).run(2, on=111).leave(1)
        .keep(**KEPT_TWICE, errors=lost(1)),
        tale().start(1).act(1).outage(0.6).outage(0.6).run(2, on=111).leave(1)
        .keep(**KEPT_TWICE, errors=lost(1)),
    ],
)  # fmt: skip
def test_what_may_happen_is_no_violation(told: Tale) -> None:
    assert told.end().violations == []


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        # a job is lost: not there, not finished, or never run
        ("I1", tale()),
        ("I1", tale().keep("pending", attempt=0, lease=0)),
        ("I1", tale().start(1).fault("kill", 101).keep("running")),
        ("I1", Tale().enqueue(key="k").ask("b", key="k").store("b", to="c").run(1).keep()),
        ("I1", tale().start(1).leave(1).keep()),
        ("I2", tale().run(1).keep().keep()),
        ("I2", Tale().run(1).keep()),
        # two holders: of one lease, of two leases with nothing wrong, with a fault elsewhere
        ("I6", tale().start(1).start(1, on=111).act(1).leave(1).keep()),
        ("I6", tale().start(1).start(2, on=111).leave(1).act(2).leave(2)
         .keep(**KEPT_TWICE, errors=lost(1))),
        ("I6", tale().start(1).fault("stop", 111).start(2, on=121).leave(1).act(2).leave(2)
         .keep(**KEPT_TWICE, errors=lost(1))),
        # an effect twice: after its end, with a fault elsewhere, with a fault that came later
        ("unattributed", tale().run(1).run(2).keep(**KEPT_TWICE, errors=lost(1))),
        ("unattributed", tale().start(1).act(1).fault("kill", 111).run(2, on=121)
         .keep(**KEPT_TWICE, errors=lost(1))),
        ("unattributed", tale().run(1).run(2, on=111).fault("kill", 101)
         .keep(**KEPT_TWICE, errors=lost(1))),
        ("unattributed", tale().fault("stop", 101).wait(10).run(1).run(2, on=111)
         .keep(**KEPT_TWICE, errors=lost(1))),
        ("unattributed", tale().outage(1.5).wait(10).run(1).run(2, on=111)
         .keep(**KEPT_TWICE, errors=lost(1))),
        # the server was away for too short a time, and what a link lost explains nothing
        ("unattributed", tale().start(1).act(1).outage(0.5).run(2, on=111).leave(1)
         .keep(**KEPT_TWICE, errors=lost(1))),
        ("unattributed", tale().start(1).act(1).outage(0.2).wait(5).outage(0.2).run(2, on=111)
         .keep(**KEPT_TWICE, errors=lost(1))),
        ("unattributed", tale().start(1).act(1).fault("lose").run(2, on=111)
         .keep(**KEPT_TWICE, errors=lost(1))),
        ("I24", tale().outage(1.5).wait(20).enqueue("b").run(1, "b").run(1).keep().keep(job="b")),
        # a stale report was accepted: a result, or an error
        ("I7", tale().start(1).fault("stop", 101, seconds=4).start(2, on=111).act(1).leave(1)
         .act(2).leave(2).keep(**KEPT_TWICE, result=1, crashes=1, errors=lost(1))),
        ("I7", hit("kill").keep(**KEPT_TWICE, errors=((1, "ValueError", "lease 2"),))),
        ("I7", tale().start(1).fault("kill", 101).keep()),
        # attempts: too many, without an outcome, with two, lost without a reason
        ("I12", Tale().enqueue(attempts=1).fail(1).run(2).keep(**KEPT_TWICE, errors=failed(1))),
        ("I12", tale().fail(1).run(2).keep(lease=2)),
        ("I12", tale().fail(1).run(2).keep(**KEPT_TWICE)),
        ("I12", tale().fail(1).run(2).keep(**KEPT_TWICE, errors=failed(1) + lost(1))),
        ("I12", tale().fail(1).run(2).keep(**KEPT_TWICE, errors=lost(1))),
        ("I12", tale().run(1).keep("failed", errors=((1, "TypeError", "what is this"),))),
        # cancelled, and yet
        ("I13", Tale().enqueue(may_be_cancelled=True).cancel().run(1).keep()),
        ("I13", Tale().enqueue(may_be_cancelled=True).cancel().run(1).keep("cancelled")),
        ("I13", tale().keep("cancelled", attempt=0, lease=0)),
        # too early: the first time, or after a failure
        ("I14", Tale().enqueue(delay=9).run(1).keep()),
        ("I14", Tale().enqueue(backoff=9).fail(1).run(2).keep(**KEPT_TWICE, errors=failed(1))),
        # dead letters: none, two, of the living; dead before its time
        ("I15", Tale().enqueue(attempts=1).fail(1).keep("dead", errors=failed(1))),
        ("I15", Tale().enqueue(attempts=1).fail(1).keep("dead", errors=failed(1), letters=2)),
        ("I15", tale().run(1).keep(letters=1)),
        ("I15", tale().fail(1).keep("dead", errors=failed(1), letters=1)),
        # poison: not buried in time, or too soon
        ("I16", Tale().enqueue(attempts=9, is_poison=True).die(1).die(2).die(3).die(4)
         .keep("dead", attempt=4, lease=4, crashes=4, letters=1, errors=(*lost(1), *POISONED))),
        ("I16", Tale().enqueue(is_poison=True).die(1).keep(
            "dead", crashes=1, letters=1, errors=((1, "PoisonJob", ""),))),
        ("I16", Tale().enqueue(is_poison=True).run(1).keep()),
        # two of one key at a time, and an answer of another key
        ("I19", Tale().enqueue(key="k").start(1).enqueue("b", key="k").act(1).leave(1)
         .run(1, "b").keep().keep(job="b")),
        ("I19", Tale().enqueue(key="k").ask("b", key="l").store("b", to="a").run(1).keep()),
        ("exits", tale().run(1).keep().exit(101, -9)),
    ],
)  # fmt: skip
def test_each_violation_is_found(rule: str, told: Tale) -> None:
    assert rule in rules(told.end())


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("I27", {"stats": {"completed": 2}}),
        ("integrity", {"integrity": "row 3 missing from index jobs_ready"}),
        ("I23", {"orphans": 1}),
    ],
)
def test_what_is_wrong_with_the_whole_is_found(rule: str, said: dict[str, object]) -> None:
    assert rules(tale().run(1).keep().end(**said)) == {rule}


def test_a_history_without_an_end_proves_nothing() -> None:
    assert rules(check(tale().run(1).keep().events)) == {"I1"}


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_duplicate_is_counted_with_its_cause(how: str) -> None:
    counts = hit(how).keep(**KEPT_TWICE, crashes=1, errors=lost(1)).end().counts
    assert counts["duplicate effects"] == counts[f"duplicates by {how}"] == 1
    assert counts["unattributed"] == 0


def test_a_report_that_came_too_late_is_counted() -> None:
    told = tale().start(1).fault("stop", 101, seconds=4).start(2, on=111).act(1).leave(1)
    counts = told.act(2).leave(2).keep(**KEPT_TWICE, crashes=1, errors=lost(1)).end().counts
    assert (counts["late reports"], counts["late reports accepted"]) == (1, 0)


def test_a_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    told = hit("stop").cancel().keep(**KEPT_TWICE, crashes=1, errors=lost(1))
    told.end()
    write(tmp_path / "history", told.events)
    pen = Pen(tmp_path / "appended")
    for event in told.events:
        pen.write(event)
    pen.close()
    assert list(read(tmp_path / "history")) == list(read(tmp_path / "appended")) == told.events
