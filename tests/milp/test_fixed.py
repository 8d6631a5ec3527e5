"""Fixed placement: the model's answers are those of trying every start time."""

import time

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from planner_core.milp.driver import MipResult, compile_model, solve
from planner_core.milp.fixed import fixed_placement_model
from planner_core.milp.grid import Grid
from planner_core.milp.steps import BuildStopped
from planner_core.schedule import Schedule, Tasks, compile_tasks, retime, validate
from planner_core.schedule.symmetry import identical_chains
from planner_core.workloads.pipeline import pipeline
from tests.brute_force import shorter_schedule
from tests.strategies import problems, whole_problems

HORIZON = 9


def answer(tasks: Tasks, grid: Grid, horizon: int) -> Schedule | None:
    """A schedule on the grid within the horizon, exactly re-timed; None if there is none."""
    windows = grid.windows(horizon)
    if windows.is_empty:
        return None
    fixed = fixed_placement_model(grid, windows)
    result: MipResult = solve(compile_model(fixed.model), deadline=time.monotonic() + 20)
    assert result.status in ("optimal", "infeasible")
    if result.values is None:
        return None
    start = fixed.start_slots(result.values) * grid.slot
    exact = retime(tasks, start)
    assert np.all(exact <= start + 1e-9)
    return tasks.schedule(exact)


@settings(max_examples=60, deadline=None)
@given(whole_problems(max_operators=5, placed=True))
def test_agrees_with_brute_force(problem):
    tasks = compile_tasks(problem, problem.fixed_device)
    grid = Grid.of(tasks, 1.0, identical_chains(tasks))
    least = shorter_schedule(problem, HORIZON + 0.5)
    if least is None:
        assert answer(tasks, grid, HORIZON) is None
        return
    assert answer(tasks, grid, round(least.makespan) - 1) is None
    found = answer(tasks, grid, round(least.makespan))
    assert found is not None
    assert not validate(problem, found)


@settings(max_examples=80, deadline=None)
@given(
    problems(max_operators=6, placed=True, micro_batches=False),
    st.sampled_from([0.3, 0.7, 1.0, 2.3]),
)
def test_rounding_up_gives_valid_schedules(problem, slot):
    tasks = compile_tasks(problem, problem.fixed_device)
    grid = Grid.of(tasks, slot)
    horizon = int(np.ceil(tasks.duration.sum() / slot)) + 12
    assume(horizon < 120)
    found = answer(tasks, grid, horizon)
    if found is not None:
        assert not validate(problem, found)
        assert found.makespan <= horizon * slot + 1e-9


@pytest.mark.parametrize(("memory", "least"), [(1, 10.0), (2, 7.0)])
def test_memory_makes_the_pipeline_longer(memory, least):
    """Two stages, two micro-batches, F = I = W = 1, room for one saved activation or two."""
    problem = pipeline(2, 2, memory=memory)
    tasks = compile_tasks(problem, problem.fixed_device)
    grid = Grid.of(tasks, 1.0, identical_chains(tasks))
    assert answer(tasks, grid, round(least) - 1) is None
    found = answer(tasks, grid, round(least))
    assert found is not None
    assert found.makespan == least


def test_parameter_groups_alone_can_be_too_much():
    problem = pipeline(2, 2, weights=2.0, memory=1.0)
    tasks = compile_tasks(problem, problem.fixed_device)
    assert answer(tasks, Grid.of(tasks, 1.0), 20) is None


def test_building_stops_when_told():
    problem = pipeline(4, 8)
    tasks = compile_tasks(problem, problem.fixed_device)
    grid = Grid.of(tasks, 1.0)
    with pytest.raises(BuildStopped):
        fixed_placement_model(grid, grid.windows(60), lambda: True)
