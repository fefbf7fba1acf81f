"""Frames, whatever pieces they arrive in, and what they carry."""

import dataclasses
import json

import pytest
from hypothesis import given, strategies as st

from offload.core.decide import Lapsed, Outcome, Raised, Released, Stopped
from offload.core.job import Job, NewJob, stored
from offload.core.records import Failure
from offload.core.states import State
from offload.worker import wire
from offload.worker.wire import Frames, Kind

frames = st.lists(
    st.tuples(st.sampled_from(Kind), st.integers(0, 2**64 - 1), st.binary(max_size=40))
)


@given(frames, st.lists(st.integers(1, 30)))
def test_frames_survive_any_cut(sent: list[tuple[Kind, int, bytes]], sizes: list[int]) -> None:
    data = b"".join(wire.frame(*each) for each in sent)
    reader, heard = Frames(), []
    for size in sizes:
        heard += reader.split(data[:size])
        data = data[size:]
    assert heard + reader.split(data) == sent


def job(job_id: str, payload: bytes, metadata: dict[str, object] | None = None) -> Job:
    new = stored(NewJob(job_id, "task", payload=payload, metadata=metadata, timeout=1.5), now=7)
    return dataclasses.replace(new, state=State.RUNNING, attempt=2, lease=5)


def test_a_line_carries_what_functions_may_know() -> None:
    sent = [job("a", b"[[],{}]"), job("b", b""), job("c", '["ü"]'.encode(), metadata={"k": [1]})]
    for before, after in zip(sent, wire.unpack(wire.pack(sent)), strict=True):
        assert after == dataclasses.replace(before, run_at=0, created_at=0)


@pytest.mark.parametrize(
    "outcome",
    [
        Raised(Failure("ValueError", "boom", "Traceback …"), retryable=False),
        Raised(Failure("Retry", "later"), delay=2.5),
        Stopped("cancelled while running"),
        Lapsed("taken over"),
        Released(),
    ],
)
def test_outcomes_arrive_as_they_were(outcome: Outcome) -> None:
    assert wire.heard(json.loads(json.dumps(wire.told(outcome)))) == outcome


def test_a_line_begins_with_its_first_run() -> None:
    first = 3 << wire.LINE_BITS
    assert wire.opens_line(first)
    assert not wire.opens_line(first + 1)
