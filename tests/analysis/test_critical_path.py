from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_core.analysis.critical_path import (
    critical_path,
    slack,
    waited_for_by,
    waits_for,
)
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


@pytest.mark.parametrize("name", ["gpipe", "1f1b", "zb-h1"])
def test_a_path_leads_from_the_beginning_to_the_end(name):
    problem = pipeline(4, 8)
    schedule = run_baseline(name, problem).schedule
    path = critical_path(problem, schedule)
    assert schedule.start[path[0]] == 0.0
    assert schedule.finish[path[-1]] == schedule.makespan
    taken = float((schedule.finish - schedule.start)[path].sum())
    assert slack(problem, schedule, path) == pytest.approx(schedule.makespan - taken)


def test_a_fused_backward_hands_on_late_and_the_path_shows_it_as_slack():
    problem = pipeline(2, 1)
    schedule = run_baseline("1f1b", problem).schedule
    path = [problem.graph.operator_ids[o] for o in critical_path(problem, schedule)]
    assert path == ["F0", "F1", "I1", "I0", "W0"]
    assert slack(problem, schedule, critical_path(problem, schedule)) == 1.0


def test_neighbours():
    problem = pipeline(2, 1)
    schedule = run_baseline("gpipe", problem).schedule
    index = problem.graph.operator_index
    assert waits_for(problem, schedule, index["F1"]) == [index["F0"]]
    assert set(waits_for(problem, schedule, index["I0"])) == {index["F0"], index["I1"]}
    assert waits_for(problem, schedule, index["F0"]) == []
    assert set(waited_for_by(problem, schedule, index["F1"])) == {index["I1"], index["W1"]}
