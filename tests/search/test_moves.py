"""A proposed move keeps precedence, colocation and the window; taken back, nothing is left."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_core.problem import Problem, build_cluster, build_graph
from planner_core.schedule.columns import columns_of, group_rows
from planner_core.search.annealing import anneal_window
from planner_core.search.decoder import decode, empty_times
from planner_core.search.moves import LARGEST_PART, LAST, MOVE, Window, propose, take_back
from tests.search.test_local_search import decided


def window_of(columns, low, high):
    shape = (len(columns.column), columns.n_streams)
    return Window(low, high, np.zeros(shape), np.zeros(len(columns.stream)), np.zeros(shape))


def members_of(columns):
    grouped = np.flatnonzero(columns.colocation >= 0).astype(np.int32)
    return group_rows(columns.colocation[grouped], grouped, max(1, len(columns.group_allowed)))


@given(decided(exclusive=False, staged=False), st.integers(0, 99), st.data())
@settings(max_examples=80, deadline=None)
def test_every_move_is_sound_and_can_be_taken_back(case, seed, data):
    problem, sequence, device = case
    columns, n = columns_of(problem), len(sequence)
    low = data.draw(st.integers(0, n - 1))
    high = data.draw(st.integers(low + 1, n))
    window, members = window_of(columns, low, high), members_of(columns)
    position = np.empty(n, np.int32)
    position[sequence] = np.arange(n, dtype=np.int32)
    state = np.array([seed * 2 + 88172645463325253], dtype=np.uint64)
    part, move = np.empty(LARGEST_PART, np.int32), np.zeros(MOVE, np.int64)
    graph = problem.graph
    for _ in range(40):
        a = data.draw(st.integers(low, high - 1))
        before = sequence.copy(), position.copy(), device.copy()
        first = propose(columns, a, sequence, position, device, window, members, move, part, state)
        assert np.array_equal(sequence[position], np.arange(n))
        if first < 0:
            assert all(map(np.array_equal, before, (sequence, position, device)))
            continue
        changed = np.flatnonzero((before[0] != sequence) | (before[2] != device)[sequence])
        assert low <= first <= changed.min(initial=n)
        assert changed.max(initial=-1) <= move[LAST] < high
        assert np.all(position[graph.edge_source] < position[graph.edge_target])
        assert np.all(np.isfinite(problem.durations[np.arange(n), device]))
        for group in range(len(graph.colocation_names)):
            assert len(set(device[graph.colocation == group].tolist())) <= 1
        if data.draw(st.booleans()):
            take_back(columns, sequence, position, device, members, move, part)
            assert all(map(np.array_equal, before, (sequence, position, device)))


def test_balanced_work_is_improved_by_exchanges():
    """Both devices are busy all the time but for two pieces in the wrong places.

    Any single operator is longer than the difference, so moving one only makes it worse.
    """
    durations = [10.0, 10.3, 10.1, 10.2, 10.6, 10.0, 10.5, 10.3]
    operators = [{"id": f"o{i}", "duration": d} for i, d in enumerate(durations)]
    problem = Problem(
        template=build_graph(operators, []), cluster=build_cluster([{"id": "a"}, {"id": "b"}])
    )
    columns, n = columns_of(problem), len(durations)
    sequence = np.arange(n, dtype=np.int32)
    device = (np.arange(n) % 2).astype(np.int32)
    best_sequence, best_device = sequence.copy(), device.copy()
    times = empty_times(columns)
    start = decode(columns, sequence, device, times)
    _, best = anneal_window(
        columns, sequence.copy(), sequence.copy(), device.copy(), times, empty_times(columns),
        window_of(columns, 0, n), members_of(columns), 1e-3, 1e-4, 2_000, False,
        np.array([88172645463325253], dtype=np.uint64), best_sequence, best_device,
    )  # fmt: skip
    assert best < start
    assert best == pytest.approx(sum(durations) / 2)
