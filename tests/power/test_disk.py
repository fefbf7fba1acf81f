"""The simulated disk keeps what was synced, and of the rest what it is told to."""

import random

import pytest

from tests.power.disk import SECTOR, Disk, Fate, Image, survivors
from tests.power.log import Change, Create, Delete, Event, Sync, Truncate, Write

NEW = Create("a", 1)
OLD = Write(1, 0, b"o" * 3 * SECTOR)
SYNC = Sync(1, folder=True)

ANY = range(200)
"""Enough seeds to meet whatever can happen to three changes."""


def left(fate: Fate, *events: Event, seed: int = 0) -> Image:
    disk = Disk()
    for event in events:
        disk.follow(event)
    return disk.image(fate, random.Random(seed))


def all_left(fate: Fate, *events: Event) -> set[bytes | None]:
    return {left(fate, *events, seed=seed).get("a") for seed in ANY}


@pytest.mark.parametrize("fate", Fate)
def test_what_was_synced_is_there(fate: Fate) -> None:
    assert all_left(fate, NEW, OLD, SYNC) == {OLD.data}


@pytest.mark.parametrize("fate", Fate)
def test_a_name_that_was_not_synced_may_be_lost_with_its_file(fate: Fate) -> None:
    found = all_left(fate, NEW, OLD, Sync(1, folder=False))
    certain = {Fate.DROPPED: {None}, Fate.KEPT: {OLD.data}}
    assert found == certain.get(fate, {None, OLD.data})


def test_a_name_that_was_removed_may_come_back() -> None:
    gone = (NEW, OLD, SYNC, Delete("a", synced=False))
    assert all_left(Fate.SCATTERED, *gone) == {None, OLD.data}
    assert all_left(Fate.SCATTERED, *gone, Create("b", 2), Sync(2, folder=True)) == {None}
    assert all_left(Fate.SCATTERED, NEW, OLD, SYNC, Delete("a", synced=True)) == {None}


def test_a_name_that_came_back_is_another_file() -> None:
    again = (
        NEW,
        OLD,
        SYNC,
        Delete("a", synced=False),
        NEW2,
        Write(2, 0, b"n"),
        Sync(2, folder=False),
    )
    assert all_left(Fate.TORN, *again) == {None, OLD.data, b"n"}


NEW2 = Create("a", 2)


def test_dropped_is_the_old_content_and_kept_the_new() -> None:
    change = (NEW, OLD, SYNC, Write(1, 3, b"new"), Truncate(1, 5))
    assert left(Fate.DROPPED, *change) == {"a": OLD.data}
    assert left(Fate.KEPT, *change) == {"a": b"ooone"}


def test_a_torn_write_is_old_or_new_sector_by_sector() -> None:
    found = all_left(Fate.TORN, NEW, OLD, SYNC, Write(1, 1, b"n" * (2 * SECTOR)))
    parts = [b"n" * (SECTOR - 1), b"n" * SECTOR, b"n"]
    kept = [part.replace(b"n", b"o") for part in parts]
    assert found == {
        b"o" + a + b + c + b"o" * (SECTOR - 1)
        for a in (parts[0], kept[0])
        for b in (parts[1], kept[1])
        for c in (parts[2], kept[2])
    }


def chosen(fate: Fate) -> set[tuple[Change, ...]]:
    changes: list[Change] = [Write(1, n, bytes([n])) for n in range(3)]
    return {tuple(survivors(changes, fate, random.Random(seed))) for seed in ANY}


def test_what_may_survive_of_three_writes() -> None:
    a, b, c = (Write(1, n, bytes([n])) for n in range(3))
    assert chosen(Fate.CUT) == {(), (a,), (a, b), (a, b, c)}
    assert chosen(Fate.LATE) == {(), (c,), (b, c), (a, b, c)}
    subsets = {(), (a,), (b,), (c,), (a, b), (a, c), (b, c), (a, b, c)}
    assert chosen(Fate.SCATTERED) == chosen(Fate.TORN) == subsets


def test_a_file_may_have_grown_without_its_data() -> None:
    found = all_left(Fate.SCATTERED, NEW, OLD, SYNC, Write(1, 5 * SECTOR, b"n" * SECTOR))
    holes = {(data or b"")[3 * SECTOR : 5 * SECTOR] for data in found if data != OLD.data}
    ends = {(data or b"")[5 * SECTOR :] for data in found if data != OLD.data}
    assert bytes(2 * SECTOR) in holes
    assert {b"n" * SECTOR, bytes(SECTOR)} < ends
    assert len(holes) > 10  # of rubbish
