"""Search over placements agrees with trying everything and with branch and bound."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from planner_core.schedule import validate
from planner_core.search import Cancellation
from planner_core.search.branch_and_bound import branch_and_bound
from planner_core.search.placement_search import search_placements
from planner_core.search.settling import settle
from planner_core.search.state import Clock, SearchState
from planner_core.workloads.random_graphs import random_layered
from tests.brute_force import placements, shorter_schedule
from tests.strategies import problems, whole_problems

HORIZON = 9.0


def new_state(problem) -> SearchState:
    return SearchState(problem, "makespan", Clock.start(30.0), Cancellation())


@settings(max_examples=60, deadline=None)
@given(whole_problems(max_operators=5, staged=False, exclusive=False, limited=False))
def test_agrees_with_brute_force(problem):
    assume(len(placements(problem)) <= 30)
    state = new_state(problem)
    assert search_placements(state, 30.0)
    if state.schedule is not None:
        assert not validate(problem, state.schedule)
        assert state.optimal
    assert shorter_schedule(problem, min(state.value, HORIZON)) is None


@settings(max_examples=60, deadline=None)
@given(problems(max_operators=6, max_devices=2, micro_batches=False))
def test_is_a_bound_where_memory_or_queues_are_not_seen(problem):
    exact, state = new_state(problem), new_state(problem)
    assume(settle(exact, 3.0))
    assert search_placements(state, 30.0)
    assert state.bound <= exact.value * (1 + 1e-9)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(2, 12),
    st.integers(1, 4),
    st.integers(0, 10**6),
    st.floats(0.0, 15.0),
    st.lists(st.sampled_from([0.5, 1.0, 2.0]), min_size=4, max_size=4),
)
def test_agrees_with_branch_and_bound(operators, devices, seed, size, speeds):
    problem = random_layered(operators, devices, seed=seed, size=(0.0, size))
    cluster = replace(problem.cluster, speed=np.array(speeds[:devices]))
    problem = replace(problem, cluster=cluster)
    first, second = new_state(problem), new_state(problem)
    assert branch_and_bound(first, 30.0)
    assert search_placements(second, 30.0)
    assert second.optimal
    assert second.value == pytest.approx(first.value, rel=1e-9)


def test_proves_where_loads_come_out_almost_even():
    """Nearly every placement is close to the bound: loads that cannot come out right are cut."""
    state = new_state(random_layered(19, 3, seed=1001, size=(0.0, 0.0)))
    assert search_placements(state, 30.0)
    assert state.optimal


def test_gives_up_in_time_and_when_told_to():
    state = new_state(random_layered(40, 4, seed=1))
    assert not search_placements(state, 0.05)
    assert not search_placements(state, 30.0, lambda: True)
    state.cancel.set()
    assert not search_placements(state, 30.0)
