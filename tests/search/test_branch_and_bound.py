"""Branch and bound agrees with trying everything, and bounds what it does not see."""

import numpy as np
import pytest
from hypothesis import assume, given, settings

from planner_core.schedule import validate
from planner_core.search import Cancellation
from planner_core.search.branch_and_bound import branch_and_bound
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
    assert branch_and_bound(state, 30.0)
    if state.schedule is not None:
        assert not validate(problem, state.schedule)
        assert state.optimal
    assert shorter_schedule(problem, min(state.value, HORIZON)) is None


@settings(max_examples=60, deadline=None)
@given(problems(max_operators=6, max_devices=2, micro_batches=False))
def test_agrees_with_exhaustive_search_of_real_durations(problem):
    """Where memory or queues are not seen, it is a bound."""
    exact, state = new_state(problem), new_state(problem)
    assume(settle(exact, 3.0))
    assert branch_and_bound(state, 30.0)
    assert state.bound <= exact.value * (1 + 1e-9)
    seen = not (
        problem.cluster.staged
        or problem.cluster.exclusive.any()
        or np.isfinite(problem.cluster.memory).any()
    )
    if seen:
        assert state.value == pytest.approx(exact.value, rel=1e-9)
        assert state.bound == pytest.approx(exact.value, rel=1e-9)


def test_proves_a_graph_of_fifteen_operators():
    state = new_state(random_layered(15, 3, seed=1))
    assert branch_and_bound(state, 30.0)
    assert state.optimal


def test_gives_up_in_time_and_can_be_cancelled():
    state = new_state(random_layered(40, 4, seed=1))
    assert not branch_and_bound(state, 0.05)
    state.cancel.set()
    assert not branch_and_bound(state, 30.0)
