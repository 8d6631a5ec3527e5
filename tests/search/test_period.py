"""Period and transfer volume: brute force agrees on tiny problems, rules hold on all kinds."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from planner_core.problem import InputError, Objective, Problem, build_cluster, build_graph
from planner_core.schedule import compile_tasks, measure, validate
from planner_core.search import Options, plan
from planner_core.workloads.pipeline import pipeline
from tests.brute_force import placements, shorter_schedule
from tests.strategies import whole_problems

LIMIT = Options(time_limit=15.0)


def least(problem: Problem) -> float:
    """Least value of the first measure over all placements that have a schedule."""
    name, best = problem.objective.primary, np.inf
    for device in placements(problem):
        try:
            tasks = compile_tasks(problem, device)
        except InputError:
            continue  # no link
        value = measure(name, problem, tasks.schedule(np.zeros(tasks.n_tasks)))
        if value < best:
            horizon = float(tasks.duration.sum() + tasks.arc_lag.sum()) + 1
            placed = replace(problem.with_placement(device), objective=Objective())
            if shorter_schedule(placed, horizon) is not None:
                best = value
    return best


@pytest.mark.parametrize("name", ["period", "transfer"])
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(problem=whole_problems(max_operators=4, max_devices=3, linked=False))
def test_brute_force_agrees_on_tiny_problems(name, problem):
    problem = replace(problem, objective=Objective((name,)))
    expected = least(problem)
    found = plan(problem, LIMIT)
    if np.isinf(expected):
        assert found.status == "infeasible", found
        assert found.reason
        return
    assert found.status == "optimal", found
    assert found.value == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert not validate(problem, found.schedule)


def spread(count: int, devices: list[dict], **cluster: object) -> Problem:
    """A chain whose operators keep either the compute or the network stream busy."""
    operators = [
        {"id": f"o{i}", "duration": 1.0, "stream": "network" if i % 2 else "compute"}
        for i in range(count)
    ]
    tensors = [
        {"id": f"t{i}", "producer": f"o{i}", "consumers": [f"o{i + 1}"], "size": 2.0}
        for i in range(count - 1)
    ]
    return Problem(
        template=build_graph(operators, tensors, []),
        cluster=build_cluster(devices, **cluster),
        objective=Objective(("period",)),
    )


def test_streams_count_each_for_itself():
    problem = spread(8, [{"id": "a"}], links=None)
    assert plan(problem, LIMIT).value == 4.0


def test_an_exclusive_link_is_no_stream():
    """Four slow transfers one after the other on the link take longer than any stream is busy."""
    link = {"default": {"latency": 0, "bandwidth": 0.1, "exclusive": True}}
    problem = spread(8, [{"id": "a"}, {"id": "b"}], links=link)
    found = plan(problem, LIMIT)
    assert found.status == "optimal"
    assert found.value == 2.0


def test_staged_transfers_keep_both_ends_busy():
    link = {"default": {"latency": 0, "bandwidth": 4.0}}
    problem = spread(2, [{"id": "a"}, {"id": "b"}], links=link, transfers="staged")
    apart = replace(
        problem,
        template=replace(
            problem.template,
            device_set=np.array([0, 1], dtype=np.int32),
            device_sets=(("a",), ("b",)),
        ),
    )
    assert plan(apart, LIMIT).value == 1.5


def test_a_pipeline_of_two_copies_counts_per_micro_batch():
    problem = pipeline(4, 6, placement="bidirectional")
    found = plan(replace(problem, objective=Objective(("period",))), LIMIT)
    assert found.status == "optimal"
    # Each device runs two of the eight stage copies, F, I and W of one unit each, for half of
    # the micro-batches.
    assert found.value == pytest.approx(3.0)


def test_memory_decides_what_runs_together():
    operators = [
        {"id": f"o{i}", "duration": duration, "parameters": [f"w{i}"]}
        for i, duration in enumerate([3.0, 3.0, 1.0, 1.0])
    ]
    groups = [{"id": f"w{i}", "size": size} for i, size in enumerate([4.0, 4.0, 5.0, 1.0])]
    problem = Problem(
        template=build_graph(operators, [], groups),
        cluster=build_cluster([{"id": "a", "memory": 8.0}, {"id": "b", "memory": 6.0}], None),
        objective=Objective(("period",)),
    )
    found = plan(problem, LIMIT)
    assert found.status == "optimal"
    assert found.value == 6.0  # both long operators on a: 5 does not fit beside 4 anywhere
