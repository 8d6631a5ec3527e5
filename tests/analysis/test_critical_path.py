from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_core.analysis.critical_path import critical_path, waited_for_by, waits_for
from planner_core.baselines import run_baseline
from planner_core.workloads import pipeline

shapes = st.tuples(
    st.integers(1, 5),
    st.integers(1, 6),
    st.sampled_from([0.0, 0.5]),
    st.sampled_from([1.0, 2.5]),
)


@given(shapes)
@settings(max_examples=25, deadline=None)
def test_each_operator_of_the_path_starts_when_the_one_before_lets_it(shape):
    devices, batches, transfer, forward = shape
    problem = pipeline(devices, batches, forward=forward, transfer=transfer)
    schedule = run_baseline("zb-h1", problem).schedule
    path = critical_path(problem, schedule)
    assert schedule.finish[path[-1]] == schedule.makespan
    for a, b in pairwise(path):
        wait = transfer if schedule.device[a] != schedule.device[b] else 0.0
        np.testing.assert_allclose(schedule.start[b], schedule.finish[a] + wait)


def test_path_through_an_operator_contains_it():
    problem = pipeline(4, 8)
    schedule = run_baseline("1f1b", problem).schedule
    for o in range(0, problem.graph.n_operators, 7):
        path = critical_path(problem, schedule, through=o)
        assert o in path
        assert list(schedule.start[path]) == sorted(schedule.start[path])


def test_neighbours():
    problem = pipeline(2, 1)
    schedule = run_baseline("gpipe", problem).schedule
    index = problem.graph.operator_index
    assert waits_for(problem, schedule, index["F1"]) == [index["F0"]]
    assert set(waits_for(problem, schedule, index["I0"])) == {index["F0"], index["I1"]}
    assert waits_for(problem, schedule, index["F0"]) == []
    assert set(waited_for_by(problem, schedule, index["F1"])) == {index["I1"], index["W1"]}
