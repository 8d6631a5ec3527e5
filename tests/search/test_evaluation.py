"""What is said early of a move is never more than what timing all of it says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_core.schedule.columns import columns_of
from planner_core.search.annealing import advance
from planner_core.search.decoder import decode, empty_times
from planner_core.search.evaluation import (
    SPREAD,
    evaluate,
    keep,
    nothing_kept,
    slide,
    slides,
    tails,
)
from planner_core.search.moves import (
    LARGEST_PART,
    LAST,
    MOVE,
    Window,
    only_carries,
    propose,
    take_back,
)
from tests.search.test_local_search import decided
from tests.search.test_moves import members_of


def kept_afresh(columns, sequence, position, device, window):
    """Longest path, energy and all that is kept, from nothing."""
    window = window._replace(tail=window.tail.copy())
    times = empty_times(columns)
    kept = nothing_kept(columns, sequence, window, empty_times(columns))
    advance(columns, sequence, device, times, 0, window.low)
    last = window.high - 1
    longest, energy, _ = evaluate(
        columns, sequence, position, device, times, window, window.low, last, kept, np.inf
    )
    keep(columns, sequence, position, device, times, window, window.low, last, kept)
    return longest, energy, kept, times


@given(decided(exclusive=False, staged=False), st.integers(0, 99), st.data())
@settings(max_examples=80, deadline=None)
def test_moves_are_refused_early_only_where_they_are_above_the_threshold(case, seed, data):
    problem, sequence, device = case
    columns, n = columns_of(problem), len(sequence)
    low = data.draw(st.integers(0, n - 1))
    high = data.draw(st.integers(low + 1, n))
    position = np.empty(n, np.int32)
    position[sequence] = np.arange(n, dtype=np.int32)
    times = empty_times(columns)
    tail, stream_tail = tails(columns, sequence, device, 1)
    advance(columns, sequence, device, times, 0, low)
    window = Window(low, high, times.free.copy(), tail, stream_tail[high])
    members = members_of(columns)
    state = np.array([seed * 2 + 88172645463325253], dtype=np.uint64)
    part, move = np.empty(LARGEST_PART, np.int32), np.zeros(MOVE, np.int64)
    _, energy, kept, times = kept_afresh(columns, sequence, position, device, window)
    for _ in range(30):
        a = data.draw(st.integers(low, high - 1))
        first = propose(columns, a, sequence, position, device, window, members, move, part, state)
        if first < 0:
            continue
        last = int(move[LAST])
        longest, exact, afresh, _ = kept_afresh(columns, sequence, position, device, window)
        if only_carries(move) and slides(columns, sequence, device, move[0], move[1]):
            assert exact == pytest.approx(energy)
            slide(columns, sequence, position, device, window, first, last, kept)
            assert_same(kept, afresh, sequence[low:high])
            continue
        threshold = energy * data.draw(st.sampled_from([0.9, 0.99, 1.0, 1.01, 1.1, np.inf]))
        before = times.start.copy(), times.finish.copy()
        got = evaluate(
            columns, sequence, position, device, times, window, first, last, kept, threshold
        )
        if np.isinf(got[1]):
            assert exact > threshold * (1 - 1e-9)
        else:
            assert got[:2] == pytest.approx((longest, exact))
            if data.draw(st.booleans()):
                energy = exact
                keep(columns, sequence, position, device, times, window, first, last, kept)
                assert_same(kept, afresh, sequence[low:high])
                continue
        for o in sequence[first:high]:
            times.start[o], times.finish[o] = before[0][o], before[1][o]
        take_back(columns, sequence, position, device, members, move, part)


def assert_same(kept, afresh, inside):
    for name in ("start", "finish", "tail"):
        assert getattr(kept, name)[inside] == pytest.approx(getattr(afresh, name)[inside])
    for name in ("free", "longest", "behind", "work", "floor"):
        assert getattr(kept, name) == pytest.approx(getattr(afresh, name))


@given(decided(exclusive=True, staged=True))
@settings(max_examples=30, deadline=None)
def test_the_whole_graph_is_timed_like_decoding(case):
    problem, sequence, device = case
    columns, n = columns_of(problem), len(sequence)
    position = np.empty(n, np.int32)
    position[sequence] = np.arange(n, dtype=np.int32)
    shape = (len(columns.column), columns.n_streams)
    window = Window(0, n, np.zeros(shape), np.zeros(n), np.zeros(shape))
    longest, energy, _, _ = kept_afresh(columns, sequence, position, device, window)
    times = empty_times(columns)
    makespan = decode(columns, sequence, device, times)
    if len(times.move_start) == 0:
        makespan = max(makespan, times.free.max())
    assert longest == pytest.approx(makespan)
    assert energy == pytest.approx(longest + SPREAD * times.free.mean())
