"""Which limit is to blame, by how much, and a limit that works."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

from planner_core.problem import Objective, Problem, build_cluster, build_graph
from planner_core.search import Options, plan
from planner_core.search.infeasible import why_infeasible
from planner_core.search.makespan import serial_makespan
from planner_core.workloads.pipeline import pipeline
from tests.brute_force import placements, shorter_schedule
from tests.strategies import whole_problems

LIMIT = Options(time_limit=8.0)
LONGEST = 16.0
"""Longest makespan worth trying out."""


def weights(sizes: list[float], memory: list[float], **options: object) -> Problem:
    """Operators without tensors, each with weights of its own."""
    return Problem(
        template=build_graph(
            [
                {"id": f"o{i}", "duration": 1.0, "parameters": [f"w{i}"], **options}
                for i in range(len(sizes))
            ],
            [],
            [{"id": f"w{i}", "size": size} for i, size in enumerate(sizes)],
        ),
        cluster=build_cluster([{"id": f"d{k}", "memory": m} for k, m in enumerate(memory)]),
    )


def enough(reason: str) -> float:
    found = re.search(r"with ([0-9.e+]+) MiB on every device it fits", reason)
    assert found is not None, reason
    return float(found.group(1))


@pytest.mark.parametrize(
    ("problem", "words", "limit"),
    [
        (weights([9.0, 1.0], [5.0, 6.0]), "'d1' needs at least 9", 9.0),
        (weights([4.0, 4.0, 4.0], [5.0, 5.0]), "take 12 together; all devices have 10", 8.0),
        (weights([3.0, 3.0, 3.0], [5.0, 5.0]), "memory limits", 6.0),
        (
            weights([3.0, 3.0, 2.0], [5.0, 5.0], colocate="all"),
            "colocation group 'all' needs at least 8",
            8.0,
        ),
    ],
)
@pytest.mark.parametrize("objective", ["makespan", "period"])
def test_memory_to_blame_and_the_limit_that_works(problem, words, limit, objective):
    problem = replace(problem, objective=Objective((objective,)))
    found = plan(problem, LIMIT)
    assert found.status == "infeasible"
    assert words in found.reason
    assert enough(found.reason) == limit
    assert plan(problem.with_memory(limit), LIMIT).schedule is not None


def test_a_missing_link_is_named():
    problem = pipeline(2, 1)
    apart = replace(
        problem,
        cluster=build_cluster([{"id": name} for name in problem.cluster.device_ids], []),
    )
    for objective in ("makespan", "period", "transfer", "peak_memory"):
        found = plan(replace(apart, objective=Objective((objective,))), LIMIT)
        assert found.status == "infeasible"
        assert "add a link from 'gpu0' to 'gpu1'" in found.reason


@pytest.mark.parametrize(
    ("objective", "budget", "words"),
    [
        ("makespan", {"period": 2.9}, "the budget for period is 2.9, 0.1 too little"),
        ("makespan", {"transfer": 0.5}, "the budget for transfer is 0.5"),
        ("period", {"makespan": 4.0}, "the budget for makespan is 4"),
        ("makespan", {"peak_memory": 0.5}, "its limit is 0.5"),
    ],
)
def test_a_budget_that_is_too_small_is_named(objective, budget, words):
    operators = [{"id": f"o{i}", "duration": 2.0 + i, "devices": [f"d{i}"]} for i in range(2)]
    tensors = [{"id": "t", "producer": "o0", "consumers": ["o1"], "size": 1.0}]
    problem = Problem(
        template=build_graph(operators, tensors, []),
        cluster=build_cluster([{"id": "d0"}, {"id": "d1"}]),
        objective=Objective((objective,), budget),
    )
    found = plan(problem, LIMIT)
    assert found.status == "infeasible"
    assert words in found.reason


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(problem=whole_problems(max_operators=3, max_devices=2, linked=False, limited=True))
def test_infeasible_is_said_only_where_brute_force_finds_nothing(problem):
    # If there is a schedule, there is one that does one thing after the other.
    horizon = serial_makespan(problem) + 1.0
    assume(horizon <= LONGEST and len(placements(problem)) <= 8)
    exists = shorter_schedule(problem, horizon) is not None
    if why_infeasible(problem) is not None:
        assert not exists
    found = plan(problem, LIMIT)
    assert found.status == ("optimal" if exists else "infeasible")
    if not exists:
        assert found.reason
        match = re.search(r"with ([0-9.e+]+) MiB", found.reason)
        if match is not None:
            assert shorter_schedule(problem.with_memory(float(match.group(1))), horizon)
            assert np.any(np.isfinite(problem.cluster.memory))
