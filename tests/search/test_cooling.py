import itertools
import time

import pytest

from planner_core.search.cooling import FEWEST_MOVES, Pace, cooling


def test_cools_from_hot_to_cold_without_a_gap():
    calls = []
    for call in cooling(0.2, 8.0, 0.5):
        calls.append(call)
        time.sleep(0.02)
    assert calls[0][0] == 8.0
    assert calls[-1][1] == pytest.approx(0.5)
    assert all(colder < warmer for warmer, colder in calls)
    assert all(b[0] <= a[0] for a, b in itertools.pairwise(calls))


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 0.5])
def test_ends_even_if_no_time_passes(seconds, monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    assert 1 <= sum(1 for _ in cooling(seconds, 1.0, 0.1)) <= 1000


def test_pace_follows_what_calls_take(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pace = Pace(1e4)
    for _ in range(40):
        moves = pace.moves(0.05)
        now[0] += moves / 2e3  # the machine does 2,000 moves a second
        pace.took()
    assert pace.rate == pytest.approx(2e3, rel=0.01)
    assert Pace(0.1).moves(0.05) == FEWEST_MOVES
