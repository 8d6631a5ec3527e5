"""Bounds never exceed what a schedule reaches, and reach the known optima."""

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_core.bounds import (
    heads_and_tails,
    makespan_bound,
    makespan_bounds,
    memory_infeasible,
    peak_memory_bound,
    period_bound,
    transfer_bound,
)
from planner_core.problem import Objective, Problem, build_cluster, build_graph
from planner_core.schedule import measure, validate
from planner_core.schedule.memory import memory_profiles
from planner_core.schedule.tasks import compile_tasks
from planner_core.workloads.pipeline import pipeline
from tests.strategies import scheduled

BIDIRECTIONAL = {"placement": "bidirectional", "released_by_input": 1.0}


@pytest.mark.parametrize(
    ("memory", "optimum"), [(9, 63), (8, 63), (7, 64), (6, 65), (5, 66), (4, 67)]
)
def test_bidirectional_pipeline_with_unit_costs(memory, optimum):
    assert makespan_bound(pipeline(8, 20, memory=memory, **BIDIRECTIONAL)).value == optimum


@pytest.mark.parametrize("chunks", [8, 13, 16])
def test_v_pipeline_with_unit_costs(chunks):
    problem = pipeline(8, 20, "v", memory=chunks, released_by_input=1.0)
    assert makespan_bound(problem).value == 143 - chunks


@pytest.mark.parametrize(("memory", "bound"), [(9, 315), (6, 328), (4, 338)])
def test_bidirectional_pipeline_with_unequal_costs(memory, bound):
    costs = {"forward": 5, "backward_input": 6, "backward_weight": 4}
    problem = pipeline(8, 20, memory=memory, **BIDIRECTIONAL, **costs)
    assert makespan_bound(problem).value == bound


def test_transfers_lengthen_the_turnaround():
    """Stage 3 runs forwards from 18, its first input backward starts at 71 or later."""
    costs = {"forward": 5, "backward_input": 7, "backward_weight": 3, "transfer": 1}
    problem = pipeline(8, 20, memory=9, **BIDIRECTIONAL, **costs)
    assert makespan_bound(problem).value == 18 + 300 + (71 - 18 - 9 * 5)


def test_memory_bound_inverts_the_makespan_bound():
    problem = pipeline(8, 20, **BIDIRECTIONAL)
    for budget, memory in ((63, 8), (64, 7), (67, 4)):
        goal = Objective(("peak_memory",), {"makespan": budget})
        assert peak_memory_bound(replace(problem, objective=goal)).value == memory


def test_memory_bound_is_infinite_below_the_makespan_bound():
    goal = Objective(("peak_memory",), {"makespan": 62})
    problem = replace(pipeline(8, 20, **BIDIRECTIONAL), objective=goal)
    assert peak_memory_bound(problem).value == math.inf


@settings(max_examples=150, deadline=None)
@given(scheduled(placed=None, limited=None))
def test_no_valid_schedule_beats_a_bound(found):
    problem, schedule = found
    if validate(problem, schedule):
        return
    near = 1 + 1e-9
    assert memory_infeasible(problem) is None
    for bound in makespan_bounds(problem):
        assert bound.value <= schedule.makespan * near, bound
    for name, bound in (
        ("peak_memory", peak_memory_bound(problem)),
        ("period", period_bound(problem)),
        ("transfer", transfer_bound(problem)),
    ):
        assert bound.value <= measure(name, problem, schedule) * near + 1e-12, bound
    goal = Objective(("peak_memory",), {"makespan": schedule.makespan})
    least = peak_memory_bound(replace(problem, objective=goal)).value
    assert least <= measure("peak_memory", problem, schedule) * near
    head, tail = heads_and_tails(problem)
    assert np.all(head <= schedule.start * near + 1e-12)
    assert np.all(schedule.finish + tail <= schedule.makespan * near + 1e-12)


def shortest_makespan(problem: Problem, horizon: int) -> int | None:
    """Optimum over all devices and integer start times; None if over the horizon."""
    best = horizon + 1
    for device in product(*(np.flatnonzero(np.isfinite(r)) for r in problem.durations)):
        best = shortest_on(problem, np.array(device), best)
    return best if best <= horizon else None


def shortest_on(problem: Problem, device: np.ndarray, best: int) -> int:
    """Least makespan on given devices, or ``best`` if none is less, by depth-first search."""
    tasks = compile_tasks(problem, device)
    order = [*problem.graph.topological_order.tolist()]
    order += range(problem.graph.n_operators, tasks.n_tasks)
    start = np.full(tasks.n_tasks, np.nan)
    arcs = list(zip(tasks.arc_from, tasks.arc_to, tasks.arc_lag, strict=True))

    def fits(v: int) -> bool:
        finish = start + tasks.duration
        late = any(v in (a, b) and start[b] < finish[a] + lag for a, b, lag in arcs)
        like = (tasks.resource == tasks.resource[v]) & (np.arange(len(start)) != v)
        return not late and not np.any(like & (start < finish[v]) & (start[v] < finish))

    def search(i: int, best: int) -> int:
        if i == len(order):
            schedule = tasks.schedule(start)
            valid = schedule.makespan < best and not validate(problem, schedule)
            return round(schedule.makespan) if valid else best
        v = order[i]
        time = 0
        while time + tasks.duration[v] < best:
            start[v] = time
            if fits(v):
                best = search(i + 1, best)
            time += 1
        start[v] = np.nan
        return best

    return search(0, best)


@st.composite
def tiny(draw):
    n = draw(st.integers(2, 4))
    operators = [
        {
            "id": f"o{i}",
            "duration": draw(st.integers(1, 2)),
            **({"devices": [f"d{draw(st.integers(0, 1))}"]} if draw(st.booleans()) else {}),
        }
        for i in range(n)
    ]
    tensors = [
        {"id": f"t{a}.{b}", "producer": f"o{a}", "consumers": [f"o{b}"], "size": 1}
        for a in range(n)
        for b in range(a + 1, n)
        if draw(st.booleans())
    ]
    limit = draw(st.sampled_from([None, 2, 3]))
    devices = [{"id": f"d{k}", "memory": limit} for k in range(2)]
    link = {"latency": draw(st.integers(0, 1)), "exclusive": draw(st.booleans())}
    return Problem(
        template=build_graph(operators, tensors, []),
        cluster=build_cluster(devices, {"default": link}),
    )


@settings(max_examples=40, deadline=None)
@given(tiny())
def test_no_bound_exceeds_the_optimum_of_tiny_problems(problem):
    optimum = shortest_makespan(problem, 7)
    if optimum is not None:
        assert memory_infeasible(problem) is None
        assert makespan_bound(problem).value <= optimum + 1e-9


def test_memory_that_is_too_small_is_named():
    problem = pipeline(2, 2, weights=2.0, memory=2.0)
    message = memory_infeasible(problem)
    assert message is not None
    assert "'gpu0' needs at least 3" in message
    assert "its limit is 2" in message
    assert memory_infeasible(pipeline(2, 2, weights=2.0, memory=3.0)) is None


def test_profile_reaches_the_least_peak():
    problem = pipeline(1, 1, weights=2.0)
    order = compile_tasks(problem, problem.fixed_device).schedule(np.array([0.0, 1.0, 2.0]))
    assert peak_memory_bound(problem).value == memory_profiles(problem, order)[0].peak == 3
