"""What is measured of a store that is a server: beside a raw loop, beside peers, alone, crowded."""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import beside, library

Figures = dict[str, Any]
Rate = Callable[[str, int], float]
Span = tuple[int, int, int]
"""Jobs that have ended, when the first of them began and the last ended, in milliseconds."""

IDLE = 20.0
SETTLED = 12.0
"""Seconds for which PostgreSQL may keep to itself what a session has done."""
BATCH = 50_000
SLICE = 20_000


@dataclass(frozen=True)
class Pair:
    """The library and the raw loop at the same thing, `count` times."""

    name: str
    ours: Rate
    raw: Rate
    count: int


@dataclass(frozen=True)
class Peer:
    """A script of `bench/peers`, with what it takes after the place and the count."""

    name: str
    script: str
    count: int
    arguments: list[str]


@dataclass(frozen=True)
class Served:
    """A kind of server that is running, and how to ask it what the library does not tell."""

    name: str
    pairs: Sequence[Pair]
    """The last one is that which peers are compared with."""
    peers: Sequence[Peer]
    fresh: Callable[[], AbstractContextManager[str]]
    """A place of its own on the server."""
    operations: Callable[[str], int]
    """How many operations there were so far in a place."""
    finish_all: Callable[[str], None]
    """Turns what is pending into finished jobs: running them would take minutes."""
    ended: Callable[[str, int], Span]
    """What has ended after an instant."""
    settle: Callable[[str], None] = lambda _: None
    """Has the server do at once what so many new rows leave it to do in the next minutes."""


def figures(server: Served, *, rounds: int, samples: int, rows: int) -> Figures:
    """Measure all of it; pairs and peers take turns, round by round."""
    return {
        **_rates(server, rounds),
        "one worker": {**_waiting(server, samples), **_idle(server), **_crowded(server, rows)},
    }


def _rates(server: Served, rounds: int) -> Figures:
    pairs: dict[str, list[tuple[float, float]]] = {pair.name: [] for pair in server.pairs}
    peers: dict[str, list[float]] = {peer.name: [] for peer in server.peers}
    for _ in range(rounds):
        for pair in server.pairs:
            ours, raw = (_fresh(server, rate, pair.count) for rate in (pair.ours, pair.raw))
            pairs[pair.name].append((ours, raw))
        for peer in server.peers:
            with server.fresh() as place:
                rate = beside.drain(peer.script, place, peer.count, peer.arguments)
            peers[peer.name].append(rate)
    return {
        "pairs": {
            name: {
                "offload": statistics.median(ours for ours, _ in found),
                "raw": statistics.median(raw for _, raw in found),
                "ratio": statistics.median(ours / raw for ours, raw in found),
            }
            for name, found in pairs.items()
        },
        "peers": {name: statistics.median(found) for name, found in peers.items()},
    }


def _fresh(server: Served, rate: Rate, count: int) -> float:
    with server.fresh() as place:
        with library.opened(place):
            pass  # the raw loop, too, needs what is made for the first one who comes
        return rate(place, count)


def _waiting(server: Served, samples: int) -> Figures:
    with server.fresh() as place:
        starts, hands = library.latencies(place, samples)
    with server.fresh() as place:
        beside_slow = library.fast_beside_slow(place, 200)
    return {
        "enqueue to first line, ms": percentiles(starts),
        "enqueue to result in hand, ms": percentiles(hands),
        "200 empty jobs while 5 s jobs hold 3 of 4 slots, s": beside_slow,
    }


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Return the median and the 99th percentile, in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50": cuts[49] * 1000, "p99": cuts[98] * 1000}


def _idle(server: Served) -> Figures:
    with server.fresh() as place:
        share, operations = library.idle_asking(
            place, IDLE, lambda: server.operations(place), SETTLED
        )
    return {
        "idle worker, share of a core": share,
        f"idle worker, operations/s of {server.name}": operations,
    }


def _crowded(server: Served, rows: int) -> Figures:
    with server.fresh() as place:
        empty = library.drain(place, SLICE)
    with server.fresh() as place, library.opened(place) as bench:
        _fill(bench, rows)
        server.finish_all(place)
        _fill(bench, rows)
        server.settle(place)
        crowded = _drained_from_the_front(server, bench)
    return {
        "empty store, jobs/s": empty,
        f"{rows:,} finished and {rows:,} pending, jobs/s": crowded,
        "ratio": crowded / empty,
    }


def _fill(bench: library.Bench, rows: int) -> None:
    for _ in range(0, rows, BATCH):
        bench.noop.map([()] * min(BATCH, rows))


def _drained_from_the_front(server: Served, bench: library.Bench) -> float:
    with bench.worker():
        since = bench.started.apply_async(args=(0.0,), priority=1).refresh().created_at
        count, first, last = 0, 0, 0
        while count < SLICE:
            time.sleep(0.25)
            count, first, last = server.ended(bench.place, since)
    return count * 1000 / (last - first)


def markdown(server: Served, figures: Figures) -> str:
    """Return the figures as tables."""
    lines = [f"| {server.name} | offload /s | raw loop /s | ratio |", "|---|---|---|---|"]
    for name, row in figures["pairs"].items():
        lines.append(f"| {name} | {row['offload']:,.0f} | {row['raw']:,.0f} | {row['ratio']:.2f} |")
    ours = figures["pairs"][server.pairs[-1].name]["offload"]
    lines += ["", "| no-op jobs/s of a peer | | offload |", "|---|---|---|"]
    for name, rate in figures["peers"].items():
        lines.append(f"| {name} | {rate:,.0f} | {ours / rate:.1f} x |")
    lines += ["", f"| one worker on {server.name} | |", "|---|---|"]
    for name, value in figures["one worker"].items():
        parts = value if isinstance(value, dict) else {"": value}
        text = " · ".join(f"{key} {each:.3g}".strip() for key, each in parts.items())
        lines.append(f"| {name} | {text} |")
    return "\n".join(lines)


def command(
    description: str | None, measured: Callable[[int, int, int], tuple[Figures, str]]
) -> None:
    """Measure as the command line says, print, and keep the figures if a file is named."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each (default 5)")
    parser.add_argument("--samples", type=int, default=300, help="latencies (default 300)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the crowded store")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    options = parser.parse_args()
    found, tables = measured(options.rounds, options.samples, options.rows)
    print(tables)
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=2) + "\n")
