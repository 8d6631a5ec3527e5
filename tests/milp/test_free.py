"""Free placement: the model's answers are those of trying every placement and start time."""

import time

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from planner_core.milp.driver import compile_model, solve
from planner_core.milp.free import free_placement_model
from planner_core.milp.free_grid import FreeGrid
from planner_core.milp.steps import BuildStopped
from planner_core.problem import Problem
from planner_core.schedule import Schedule, retime, validate
from planner_core.workloads.random_graphs import random_layered
from tests.brute_force import placements, shorter_schedule
from tests.strategies import problems, whole_problems

HORIZON = 8


def answer(problem: Problem, slot: float, horizon: int) -> Schedule | None:
    """A schedule on the grid within the horizon, exactly re-timed; None if there is none."""
    free = free_placement_model(FreeGrid.of(problem, slot), horizon)
    if free is None:
        return None
    result = solve(compile_model(free.model), deadline=time.monotonic() + 20)
    assert result.status in ("optimal", "infeasible")
    if result.values is None:
        return None
    tasks, start = free.solution(result.values)
    exact = retime(tasks, start)
    assert np.all(exact <= start + 1e-9)
    return tasks.schedule(exact)


def agrees(problem: Problem) -> None:
    assume(len(placements(problem)) <= 30)
    least = shorter_schedule(problem, HORIZON + 0.5)
    if least is None:
        assert answer(problem, 1.0, HORIZON) is None
        return
    assert answer(problem, 1.0, round(least.makespan) - 1) is None
    found = answer(problem, 1.0, round(least.makespan))
    assert found is not None
    assert not validate(problem, found)


@settings(max_examples=40, deadline=None)
@given(whole_problems(max_operators=5))
def test_agrees_with_brute_force(problem):
    agrees(problem)


@settings(max_examples=40, deadline=None)
@given(whole_problems(max_operators=4, max_devices=2, placed=False, limited=True, staged=True))
def test_staged_transfers_and_memory_agree(problem):
    agrees(problem)


@settings(max_examples=40, deadline=None)
@given(
    whole_problems(
        max_operators=4, max_devices=2, placed=False, limited=True, staged=False, exclusive=True
    )
)
def test_exclusive_links_and_memory_agree(problem):
    agrees(problem)


@settings(max_examples=40, deadline=None)
@given(whole_problems(max_operators=4, linked=False))
def test_missing_links_agree(problem):
    agrees(problem)


@settings(max_examples=60, deadline=None)
@given(problems(max_operators=5, micro_batches=False), st.sampled_from([0.7, 1.0, 2.3]))
def test_rounding_up_gives_valid_schedules(problem, slot):
    longest = np.where(np.isfinite(problem.durations), problem.durations, 0.0).max(axis=1)
    horizon = int(np.ceil(longest.sum() / slot)) + 8
    assume(horizon < 40)
    found = answer(problem, slot, horizon)
    if found is not None:
        assert not validate(problem, found)
        assert found.makespan <= horizon * slot + 1e-9


def test_building_stops_when_told():
    grid = FreeGrid.of(random_layered(20, 3, seed=1), 0.5)
    with pytest.raises(BuildStopped):
        free_placement_model(grid, 150, lambda: True)
