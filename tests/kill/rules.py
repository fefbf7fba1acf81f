"""What a history must show, whatever was done to its processes.

The rules carry the names of the invariants that they check; each looks at the history alone.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import inf

from tests.kill.history import Event, Fault
from tests.kill.record import Execution, Record, World

FAULTS = (
    ("kill", "all"), ("kill", "one"), ("kill", "producer"),
    ("stop", "all"), ("stop", "one"), ("poison", "one"),
    ("freeze", "link"), ("reset", "link"), ("half-close", "link"), ("lose", "link"),
    ("reset", "producer"), ("half-close", "producer"), ("lose", "producer"),
    ("kill", "server"), ("stop", "server"),
)  # fmt: skip
FINAL = frozenset({"complete", "failed", "dead", "cancelled"})
PLANNED = frozenset({"ValueError", "Abort"})
LOST = frozenset({"WorkerLost", "PoisonJob"})
BACK = 10.0
"""Seconds after the server's return by which work goes on."""
EARLY = 0.005
"""Seconds by which a start may seem too early: the store counts in milliseconds."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was not kept."""

    rule: str
    job: str
    what: str


@dataclass(frozen=True, slots=True)
class Findings:
    """What a history shows."""

    counts: dict[str, int]
    violations: list[Violation]


Rule = Callable[[World, Record], Iterator[str]]


def check(events: Iterable[Event]) -> Findings:
    """Judge a history."""
    world = World(events)
    violations = [
        Violation(rule, record.job, what)
        for record in world.jobs.values()
        for rule, judge in RULES.items()
        for what in judge(world, record)
    ]
    violations += _keys(world)
    violations += _whole(world)
    return Findings(_counts(world, violations), violations)


# --- rules for each job ------------------------------------------------------------------


def no_loss(_: World, record: Record) -> Iterator[str]:
    """I1: an acknowledged job is stored and final; a complete one has had its effect."""
    if record.stored and not record.kept:
        yield "it was acknowledged and is not there"
    for kept in record.kept:
        if kept.state not in FINAL:
            yield f"it is still {kept.state}"
        if kept.state == "complete" and not any(run.acts for run in record.runs):
            yield "it is complete and had no effect"


def exactly_one(_: World, record: Record) -> Iterator[str]:
    """I2: however often it was asked for, there is one; and none that nobody asked for."""
    if len(record.kept) > 1:
        yield f"it is stored {len(record.kept)} times"
    if record.kept and not record.asked:
        yield "nobody asked for it"


def one_holder(world: World, record: Record) -> Iterator[str]:
    """I6: a lease runs once, and a run ends before the next begins, unless a fault hit it.

    A run holds its job from its start until its function has ended, its process has died or was
    stopped. So while a run has neither ended nor met a fault, no other of its job may begin.
    """
    for run in record.runs:
        if len(run.starts) > 1:
            yield f"lease {run.lease} was started {len(run.starts)} times"
    for run, later in pairwise(record.runs):
        meeting = max(run.began, later.began)
        if min(run.ended, later.ended) > meeting and not world.cause(run, meeting):
            yield f"leases {run.lease} and {later.lease} ran at the same time"


def attributed(world: World, record: Record) -> Iterator[str]:
    """Every effect but the last belongs to a run that a recorded fault hit."""
    for run, later in _duplicates(record):
        if not world.cause(run, later.began):
            yield f"lease {run.lease} had its effect, nothing happened to it, and it ran again"


def fenced(_: World, record: Record) -> Iterator[str]:
    """I7: what is stored was reported under the lease that was then the newest."""
    for kept in record.kept:
        if kept.state == "complete":
            run = record.executions.get(kept.lease)
            if kept.result != kept.lease:
                yield f"the result of lease {kept.result} was accepted under lease {kept.lease}"
            elif run is None or run.how != "returned" or not run.acts:
                yield f"it is complete, but lease {kept.lease} did not return"
        for attempt, kind, message in kept.errors:
            if kind in PLANNED:
                lease = int(message.removeprefix("lease "))
                run = record.executions.get(lease)
                if run is None or run.how != "failed" or run.attempt != attempt:
                    yield f"the error of lease {lease} was accepted for attempt {attempt}"


def accounted(world: World, record: Record) -> Iterator[str]:
    """I12: no more attempts than allowed; each has one outcome, and each loss a fault."""
    for kept in record.kept:
        allowed = max((asked.attempts for asked in record.asked), default=0)
        if kept.attempt > allowed or len(record.runs) > kept.attempt:
            yield f"{len(record.runs)} runs, {kept.attempt} attempts of {allowed}"
        recorded = sorted(attempt for attempt, _, _ in kept.errors)
        failed = kept.attempt - (kept.state == "complete")
        if kept.state != "cancelled" and recorded != list(range(1, failed + 1)):
            yield f"{kept.state} after attempt {kept.attempt} with errors of {recorded}"
        lost = {attempt for attempt, kind, _ in kept.errors if kind in LOST}
        for kind in {kind for _, kind, _ in kept.errors} - PLANNED - LOST:
            yield f"an error of a kind that nobody planned: {kind}"
        for run in record.runs:
            unsaid = run.how in {"", "stopped"}
            if (unsaid or run.attempt in lost) and not world.cause(run):
                yield f"attempt {run.attempt} was lost and nothing had happened to it"


def cancelled(world: World, record: Record) -> Iterator[str]:
    """I13: what was cancelled stays so and does not start; nothing else is cancelled."""
    done = [event.at for event in record.cancelled if event.done]
    for kept in record.kept:
        if done and kept.state != "cancelled":
            yield f"it was cancelled and is {kept.state}"
        if kept.state == "cancelled" and not any(ask.may_be_cancelled for ask in record.asked):
            yield "nobody cancelled it"
    for run in record.runs:
        if done and run.began > max(done) and not world.cause(run, max(done)):
            yield f"lease {run.lease} started after the cancel"


def on_time(world: World, record: Record) -> Iterator[str]:
    """I14: a delayed job does not start early, nor does a retry."""
    if not record.asked:
        return
    asked = min(record.asked, key=lambda ask: ask.at)
    for run in record.runs[:1]:
        if run.began < asked.at + asked.delay - EARLY:
            yield f"it started {asked.at + asked.delay - run.began:.3f} s early"
    for run, later in pairwise(record.runs):
        rest = asked.backoff * 2 ** (run.attempt - 1) / 2
        early = run.how == "failed" and later.began < run.ended + rest - EARLY
        # A failure that was not stored in time is a loss, and needs no rest.
        if early and not world.cause(run, later.began):
            yield f"lease {later.lease} came {later.began - run.ended:.3f} s after a failure"


def buried(_: World, record: Record) -> Iterator[str]:
    """I15: a dead job, and no other, has one dead letter, and has used its attempts up."""
    for kept in record.kept:
        if kept.letters != (kept.state == "dead"):
            yield f"{kept.letters} dead letters of a job that is {kept.state}"
        allowed = max((asked.attempts for asked in record.asked), default=0)
        poisoned = bool(kept.errors) and kept.errors[-1][1] == "PoisonJob"
        if kept.state == "dead" and not poisoned and kept.attempt != allowed:
            yield f"it died with attempt {kept.attempt} of {allowed}"


def poison(world: World, record: Record) -> Iterator[str]:
    """I16: so many deaths bury a job, whatever its retries, and not one fewer.

    A worker that is killed or cut off itself cannot tell of a death: what it had is a loss.
    """
    limit = world.began.poison
    deaths = sum(not world.silenced(death) for death in record.deaths)
    for kept in record.kept:
        # A worker that froze, or that runs its functions in other processes, was not crashed by
        # its jobs: what it lost is an attempt of each, and no more.
        if kept.crashes > limit or deaths > limit:
            yield f"{kept.crashes} crashes, {deaths} of its own making"
        if any(kind == "PoisonJob" for _, kind, _ in kept.errors) and kept.crashes != limit:
            yield f"it was buried as poison after {kept.crashes} crashes"
        if any(ask.is_poison for ask in record.asked) and kept.state != "dead":
            yield f"it kills its process and is {kept.state}"


RULES: dict[str, Rule] = {
    "I1": no_loss,
    "I2": exactly_one,
    "I6": one_holder,
    "unattributed": attributed,
    "I7": fenced,
    "I12": accounted,
    "I13": cancelled,
    "I14": on_time,
    "I15": buried,
    "I16": poison,
}


# --- rules for the whole -----------------------------------------------------------------


def _keys(world: World) -> Iterator[Violation]:
    """I19: of one key there is one job at a time, and who comes second gets it."""
    holders: dict[str, list[Record]] = defaultdict(list)
    for record in world.jobs.values():
        for key in {ask.key for ask in record.asked if ask.key}:
            holders[key].append(record)
    for records in holders.values():
        for first in records:
            for second in records:
                if first is not second and _met(first, second):
                    yield Violation("I19", second.job, f"accepted while {first.job} held its key")
    for answer in world.answers:
        keys = [{ask.key for ask in world.record(job).asked} for job in (answer.job, answer.to)]
        if answer.job != answer.to and (keys[0] != keys[1] or None in keys[0]):
            yield Violation("I19", answer.job, f"{answer.to} was given for it, of another key")


def _met(first: Record, second: Record) -> bool:
    """Whether `second` was stored while `first` was surely pending or running."""
    if not (first.kept and second.kept and first.stored and second.stored):
        return False
    since = min(answer.at for answer in first.stored)
    until = first.runs[-1].ended if first.runs else -inf
    asked = min(ask.at for ask in second.asked)
    stored = min(answer.at for answer in second.stored)
    return since <= asked and stored <= until < inf


def _whole(world: World) -> Iterator[Violation]:
    """Count the jobs (I27), the orphans (I23) and the exits; what is kept must be sound."""
    for seconds in world.returns():
        if seconds > BACK:
            yield Violation("I24", "", f"back at work {seconds:.1f} s after the server")
    for end in world.exits:
        if end.code and not world.hit(end.pid):
            yield Violation("exits", "", f"{end.worker} ended with {end.code} of its own accord")
    if world.over is None:
        yield Violation("I1", "", "the history has no end")
        return
    states = Counter(kept.state for record in world.jobs.values() for kept in record.kept)
    states["completed"] = states.pop("complete", 0)
    if states != Counter(world.over.stats):
        yield Violation("I27", "", f"{world.over.stats} counted, {dict(states)} found")
    if world.over.integrity != "ok":
        yield Violation("integrity", "", world.over.integrity)
    if world.over.orphans:
        yield Violation("I23", "", f"{world.over.orphans} processes were left behind")


# --- numbers -----------------------------------------------------------------------------


def _duplicates(record: Record) -> Iterator[tuple[Execution, Execution]]:
    """Yield the runs that had an effect, but for the last, each with the one after it."""
    yield from pairwise(run for run in record.runs if run.acts)


def _poisoned(record: Record) -> bool:
    return any(kind == "PoisonJob" for kept in record.kept for _, kind, _ in kept.errors)


def _faults(world: World) -> dict[str, int]:
    return {
        f"{how} of {whom}": sum((f.how, f.whom) == (how, whom) for f in world.faults)
        for how, whom in FAULTS
    }


def _explained(causes: list[Fault | None]) -> dict[str, int]:
    known = [cause for cause in causes if cause is not None]
    own = [cause for cause in known if cause.whom != "server"]
    return {
        **{
            f"duplicates by {how}": sum(cause.how == how for cause in own)
            for how in ("kill", "stop", "poison", "freeze")
        },
        "duplicates by an outage": len(known) - len(own),
    }


def _counts(world: World, violations: list[Violation]) -> dict[str, int]:
    jobs = world.jobs.values()
    kept = [each for record in jobs for each in record.kept]
    causes = [world.cause(run, later.began) for each in jobs for run, later in _duplicates(each)]
    runs = [run for record in jobs for run in record.runs]
    late = [
        run
        for record in jobs
        for run, later in pairwise(record.runs)
        if run.how in {"returned", "failed"} and run.ended > later.began
    ]
    back = sorted(world.returns())
    return {
        "asked": sum(bool(record.asked) for record in jobs),
        "asked again": sum(len(record.asked) > 1 for record in jobs),
        "stored": len(kept),
        **{state: sum(each.state == state for each in kept) for state in sorted(FINAL)},
        "runs": len(runs),
        "effects": sum(len(run.acts) for run in runs),
        "runs hit by a fault": sum(map(world.was_hit, runs)),
        **_faults(world),
        "duplicate effects": len(causes),
        **_explained(causes),
        "unattributed": causes.count(None),
        "late reports": len(late),
        "late reports accepted": sum(each.rule == "I7" for each in violations),
        "buried as poison": sum(map(_poisoned, jobs)),
        "of these harmless": sum(
            _poisoned(record) and not any(ask.is_poison for ask in record.asked) for record in jobs
        ),
        "of these begun less often": sum(
            _poisoned(record) and len(record.runs) < world.began.poison for record in jobs
        ),
        "back at work, ms, median": round(1000 * back[len(back) // 2]) if back else 0,
        "back at work, ms, slowest": round(1000 * back[-1]) if back else 0,
        "lost": sum(each.rule == "I1" for each in violations),
        "violations": len(violations),
    }  # fmt: skip
