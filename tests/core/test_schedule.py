from dataclasses import replace

from offload.core.job import Job, NewJob, stored
from offload.core.schedule import Edit, Fire, Overlap, Schedule, admitted, edited, fired, redefined

THERE = Schedule("s", "t", "every:60", next_at=100, paused=True, last_at=40, last_job="j")
DEFINED = Schedule("s", "t2", "every:60", next_at=777, payload=b"[[1],{}]")


def jobs(*ticks: int | None) -> tuple[NewJob, ...]:
    return tuple(NewJob(f"j{n}", "t", tick=tick) for n, tick in enumerate(ticks))


def kept(asked: tuple[NewJob, ...]) -> list[Job]:
    return [stored(job, 0) for job in asked]


def test_a_definition_keeps_what_belongs_to_run_time() -> None:
    assert redefined(THERE, DEFINED) == replace(
        DEFINED, next_at=100, paused=True, last_at=40, last_job="j"
    )


def test_other_ticks_are_counted_anew() -> None:
    assert redefined(THERE, replace(DEFINED, trigger="every:5")).next_at == 777
    assert redefined(THERE, replace(DEFINED, tz="Asia/Tokyo")).next_at == 777


def test_what_was_edited_wins_over_the_code_and_the_newest_edit_over_both() -> None:
    by_hand = replace(THERE, edited=True)
    assert redefined(by_hand, DEFINED) == by_hand
    newer = replace(DEFINED, edited=True)
    assert redefined(by_hand, newer) == redefined(THERE, newer) == newer


def test_an_edit_changes_what_it_names() -> None:
    assert edited(THERE, Edit()) == THERE
    assert edited(THERE, Edit(paused=False)) == replace(THERE, paused=False)
    assert edited(THERE, Edit(jitter=0.0)) == replace(THERE, edited=True)
    assert edited(THERE, Edit(tz="X", paused=False)) == replace(
        THERE, tz="X", paused=False, edited=True
    )


def test_overlap_decides_what_a_tick_enqueues() -> None:
    fire = Fire("s", 100, 160, jobs(40, 100))
    skipping = replace(THERE, overlap=Overlap.SKIP)
    assert admitted(THERE, fire, busy=True) == fire.jobs
    assert admitted(skipping, fire, busy=True) == ()
    assert admitted(skipping, fire, busy=False) == fire.jobs[-1:]
    assert admitted(skipping, Fire("s", 100, 160), busy=False) == ()


def test_the_newest_tick_is_the_one_that_fired_last() -> None:
    fire = Fire("s", 100, 160, jobs(100, 130))
    after = fired(THERE, fire, fire.jobs, kept(fire.jobs))
    assert (after.next_at, after.last_at, after.last_job) == (160, 130, "j1")
    untold = jobs(None)
    assert fired(THERE, fire, untold, kept(untold)).last_at == 100


def test_a_tick_that_enqueues_nothing_did_not_fire() -> None:
    assert fired(THERE, Fire("s", 100, 160), (), []) == replace(THERE, next_at=160)
