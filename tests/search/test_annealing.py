"""Annealing inside a window: what it says of the best is what a full decode says."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_core.problem import Problem, build_cluster, build_graph
from planner_core.schedule import simulate
from planner_core.schedule.columns import columns_of, group_rows
from planner_core.search.annealing import advance, anneal_window
from planner_core.search.decoder import decode, empty_times
from planner_core.search.evaluation import tails
from planner_core.search.incumbent import Incumbent
from planner_core.search.local_search import improve
from planner_core.search.moves import Window
from tests.search.test_local_search import decided


@given(decided(exclusive=False, staged=False), st.integers(0, 9), st.data())
@settings(max_examples=60, deadline=None)
def test_the_best_through_a_window_is_what_decoding_says(case, seed, data):
    """Decoding goes on from marks, and rejected moves are taken back: nothing may be left over."""
    problem, sequence, device = case
    columns = columns_of(problem)
    n = len(sequence)
    low = data.draw(st.integers(0, n - 1))
    high = data.draw(st.integers(low + 1, n))
    times = empty_times(columns)
    decode(columns, sequence, device, times)
    tail, stream_tail = tails(columns, sequence, device, 1)
    times.free[:] = 0.0
    advance(columns, sequence, device, times, 0, low)
    window = Window(low, high, times.free.copy(), tail, stream_tail[high])
    grouped = np.flatnonzero(columns.colocation >= 0).astype(np.int32)
    groups = max(1, len(columns.group_allowed))
    position = np.empty(n, np.int32)
    position[sequence] = np.arange(n, dtype=np.int32)
    best_sequence, best_device = sequence.copy(), device.copy()
    _, best = anneal_window(
        columns,
        sequence.copy(),
        position,
        device.copy(),
        times,
        empty_times(columns),
        window,
        group_rows(columns.colocation[grouped], grouped, groups),
        1.0,
        0.1,
        300,
        False,
        np.array([seed * 2 + 88172645463325253], dtype=np.uint64),
        best_sequence,
        best_device,
    )
    makespan = decode(columns, best_sequence, best_device, empty_times(columns))
    # Paths around the window may be longer than all through it.
    assert makespan >= best - 1e-9
    if high - low == n:
        assert makespan == pytest.approx(best)
    assert sorted(best_sequence.tolist()) == list(range(n))


@pytest.mark.parametrize("colocated", [False, True])
def test_moves_what_only_helps_together(colocated):
    """Two chains whose transfers are slow: half a chain on the other device only costs."""
    operators = [
        {"id": f"{c}{i}", "duration": 1.0, **({"colocate": f"{c}{i // 2}"} if colocated else {})}
        for c in "ab"
        for i in range(6)
    ]
    tensors = [
        {"id": f"{c}{i}", "producer": f"{c}{i}", "consumers": [f"{c}{i + 1}"], "transfer": 100.0}
        for c in "ab"
        for i in range(5)
    ]
    problem = Problem(
        template=build_graph(operators, tensors),
        cluster=build_cluster([{"id": "d0"}, {"id": "d1"}]),
    )
    serial = simulate(problem, np.zeros(12, np.int32), [list(range(12)), []])
    deadline = time.monotonic() + 20.0
    assert improve(problem, serial, deadline=deadline, target=6.0).makespan == 6.0


def test_takes_up_what_others_have_found():
    problem = Problem(
        template=build_graph([{"id": f"o{i}", "duration": 1.0} for i in range(4)], []),
        cluster=build_cluster([{"id": "d0"}, {"id": "d1"}]),
    )
    serial = simulate(problem, np.zeros(4, np.int32), [list(range(4)), []])
    shared = simulate(problem, np.array([0, 0, 1, 1], np.int32), [[0, 1], [2, 3]])
    for mine, other in ((serial, shared), (shared, serial)):
        search = Incumbent(
            problem,
            mine,
            deadline=np.inf,
            target=None,
            on_improve=lambda schedule: None,
            cancelled=lambda: False,
            rival=lambda other=other: other,
        )
        search.look_around()
        assert search.best is shared
