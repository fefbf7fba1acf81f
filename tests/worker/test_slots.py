"""A member never runs more lines than it has slots, whatever it is sent."""

import json
import socket
import threading
from collections.abc import Iterator

import pytest

from offload import Queue
from offload.core.job import NewJob, stored
from offload.worker import member, wire
from offload.worker.member import Hands, Post
from offload.worker.userloop import UserLoop
from offload.worker.wire import LINE_BITS, Kind

PATIENCE = 30.0


class Scene:
    """One slot, a function that waits at its gate, and the socket on which its ends are told."""

    def __init__(self, hands: Hands, heard: socket.socket) -> None:
        self.hands = hands
        self.began: dict[str, threading.Event] = {}
        self.gates: dict[str, threading.Event] = {}
        self._heard = heard
        self._frames = wire.Frames()
        self._told: list[wire.Frame] = []

    def send(self, line: int, *names: str) -> None:
        """Send a line of runs, each of which waits at the gate of its name."""
        for name in names:
            self.began[name], self.gates[name] = threading.Event(), threading.Event()
        jobs = [
            stored(NewJob(name, "gate", payload=json.dumps([[name], {}]).encode()), 0)
            for name in names
        ]
        self.hands.obey(Kind.LINE, line << LINE_BITS, wire.pack(jobs))

    def told(self) -> tuple[int, int, bytes]:
        """Return the next frame but those that say that a line has begun."""
        while True:
            while not self._told:
                self._told = self._frames.split(self._heard.recv(wire.CHUNK))
            frame = self._told.pop(0)
            if frame[0] != Kind.BEGUN:
                return frame


@pytest.fixture
def scene() -> Iterator[Scene]:
    queue = Queue("memory://")

    @queue.task(name="gate")
    def gate(name: str) -> str:
        found.began[name].set()
        assert found.gates[name].wait(PATIENCE)
        return name

    ours, theirs = socket.socketpair()
    ours.settimeout(PATIENCE)
    with ours, theirs, UserLoop() as loop:
        found = Scene(Hands(Post(theirs), queue.tasks, loop, threads=1), ours)
        yield found
        for event in found.gates.values():
            event.set()


def test_a_line_waits_for_the_slot_of_another(scene: Scene) -> None:
    scene.send(1, "a")
    assert scene.began["a"].wait(PATIENCE)
    scene.send(2, "b")
    scene.send(3, "c")
    for line, (name, follower) in enumerate([("a", "b"), ("b", "c")], start=1):
        assert not scene.began[follower].is_set()
        scene.gates[name].set()
        kind, number, body = scene.told()
        assert (kind, number >> LINE_BITS) == (Kind.RETURNED, line)
        assert wire.heard_returned(body)[1] == json.dumps(name).encode()
        assert scene.began[follower].wait(PATIENCE)


def test_what_waits_too_long_is_given_back_and_holds_no_slot(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member, "PATIENCE", 0.0)
    scene.send(1, "a")
    assert scene.began["a"].wait(PATIENCE)
    scene.send(2, "b")
    scene.hands.patience()
    kind, number, body = scene.told()
    assert (kind, number >> LINE_BITS) == (Kind.ENDED, 2)
    assert json.loads(body)["released"] == 0
    scene.send(3, "c")
    scene.gates["a"].set()
    assert scene.began["c"].wait(PATIENCE)
    assert not scene.began["b"].is_set()


def test_a_run_that_has_its_slot_is_not_given_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread may take a while to start, on a busy machine."""
    monkeypatch.setattr(member, "PATIENCE", 0.0)
    scene.send(1, "a")
    assert scene.hands.patience() is None
    assert scene.began["a"].wait(PATIENCE)
