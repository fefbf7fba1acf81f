"""The figures as tables, for the terminal and for the README beside this."""

import statistics
from pathlib import Path
from typing import Any

from bench.imaging.sites import NAIVE, OURS, OURS_APART, TUNED

Figures = dict[str, Any]

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
LEAST = {NAIVE: 3.0, TUNED: 1.0}
"""The aim: so many times the rate of that peer, in less memory."""
MB = 1e6


def markdown(told: Figures) -> str:
    """Return all tables."""
    rows = {name: _medians(rounds) for name, rounds in told["services"].items()}
    mean = f"{told['photographs']} photographs of 12 MP, {told['bytes'] / MB:.1f} MB on average"
    lines = [
        f"| {mean} | images/s | CPU, ms each | upload taken, ms | result in hand, ms |",
        "|---|---|---|---|---|",
        *(_speed(name, row) for name, row in rows.items()),
        "",
        "| peak of memory (PSS), MB | all | of these |",
        "|---|---|---|",
        *(_memory(name, row) for name, row in rows.items()),
        "",
        f"| against | {OURS} | {OURS_APART} | aim |",
        "|---|---|---|---|",
        *(_against(peer, rows) for peer in LEAST),
        "",
        "| output | pixels | kB | SSIM |",
        "|---|---|---|---|",
        *(line for name, kinds in told["outputs"].items() for line in _outputs(name, kinds)),
        "",
        _versions(told),
    ]
    return "\n".join(lines)


def _medians(rounds: list[Figures]) -> Figures:
    each = sorted(seconds for one in rounds for seconds in one["each"])
    cuts = statistics.quantiles(each, n=20)
    found: Figures = {
        key: statistics.median(one[key] for one in rounds) for key in ("rate", "cpu", "accepted")
    }
    found["p50"], found["p95"] = cuts[9], cuts[18]
    found["memory"] = {
        part: statistics.median(one["memory"][part] for one in rounds)
        for part in rounds[0]["memory"]
    }
    return found


def _speed(name: str, row: Figures) -> str:
    waits = f"p50 {row['p50'] * 1000:.0f} · p95 {row['p95'] * 1000:.0f}"
    accepted = f"{row['accepted'] * 1000:.0f}"
    return f"| {name} | {row['rate']:.1f} | {row['cpu'] * 1000:.0f} | {accepted} | {waits} |"


def _memory(name: str, row: Figures) -> str:
    parts = {part: held for part, held in row["memory"].items() if part != "total"}
    apart = " · ".join(f"{part} {held / MB:.0f}" for part, held in parts.items())
    return f"| {name} | {row['memory']['total'] / MB:.0f} | {apart} |"


def _against(peer: str, rows: dict[str, Figures]) -> str:
    theirs = rows[peer]
    cells = [
        f"{ours['rate'] / theirs['rate']:.2f} x the rate, "
        f"{ours['memory']['total'] / theirs['memory']['total']:.2f} x the memory"
        for ours in (rows[OURS], rows[OURS_APART])
    ]
    return f"| {peer} | {cells[0]} | {cells[1]} | {LEAST[peer]:g} x, < 1 x |"


def _outputs(name: str, kinds: Figures) -> list[str]:
    return [
        f"| {name}, {kind} | {each[0]['width']} x {each[0]['height']} "
        f"| {statistics.mean(one['bytes'] for one in each) / 1000:.0f} "
        f"| {statistics.mean(one['ssim'] for one in each):.4f} |"
        for kind, each in kinds.items()
    ]


def _versions(told: Figures) -> str:
    sides = [
        f"{side}: " + ", ".join(f"{name} {version}" for name, version in found.items())
        for side, found in told["versions"].items()
    ]
    return f"On {told['machine']}. " + "; ".join(sides) + "."


def into_readme(told: Figures) -> None:
    """Put the figures between their marks in the README."""
    path = Path(__file__).with_name("README.md")
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n{markdown(told)}\n{END}{after}", encoding="utf-8")
