"""The clock of the tests, and the machine's own."""

from pathlib import Path

import pytest

from offload.store.clock import Clock, SystemClock
from offload.testing import ManualClock


def sight(clock: Clock) -> tuple[int, float, str]:
    return clock.now(), clock.ticks(), clock.boot()


def test_a_manual_clock_stands_still() -> None:
    clock = ManualClock()
    assert sight(clock) == sight(clock)


def test_time_passes_on_both_clocks() -> None:
    clock = ManualClock()
    now, ticks, boot = sight(clock)
    clock.advance(1.5)
    assert sight(clock) == (now + 1500, ticks + 1.5, boot)


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
def test_setting_the_wall_clock_lets_no_time_pass(seconds: float) -> None:
    clock = ManualClock()
    now, ticks, boot = sight(clock)
    clock.jump(seconds)
    assert sight(clock) == (now + round(seconds * 1000), ticks, boot)


def test_a_reboot_starts_the_ticks_anew_under_another_name() -> None:
    clock = ManualClock()
    clock.advance(5)
    now, ticks, boot = sight(clock)
    clock.reboot()
    assert clock.now() == now
    assert clock.ticks() < ticks
    assert clock.boot() != boot


def test_the_machine_s_ticks_never_go_back() -> None:
    clock = SystemClock()
    ticks = [clock.ticks() for _ in range(100)]
    assert ticks == sorted(ticks)


def test_the_machine_s_boot_has_one_name() -> None:
    assert SystemClock().boot() == SystemClock().boot()


def test_the_wall_clock_counts_milliseconds(tmp_path: Path) -> None:
    # A file that is written between two looks is dated between them, give or take a tick.
    before = SystemClock().now()
    (tmp_path / "now").write_text("x")
    written = (tmp_path / "now").stat().st_mtime * 1000
    assert before - 1000 <= written <= SystemClock().now() + 1000
