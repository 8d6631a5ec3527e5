import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from planner_core.baselines.list_scheduling import (
    cpop,
    earliest_start,
    heft,
    list_schedules,
    one_device,
    upward_rank,
)
from planner_core.problem import NotApplicable, Problem, build_cluster, build_graph
from planner_core.schedule import validate
from planner_core.schedule.columns import columns_of
from planner_core.workloads.pipeline import pipeline
from tests.strategies import problems

# Topcuoglu, Hariri and Wu (2002), figure 2 and table 1: ten tasks on three processors.
COSTS = [
    (14, 16, 9),
    (13, 19, 18),
    (11, 13, 19),
    (13, 8, 17),
    (12, 13, 10),
    (13, 16, 9),
    (7, 15, 11),
    (5, 11, 14),
    (18, 12, 20),
    (21, 7, 16),
]
EDGES = {
    (1, 2): 18,
    (1, 3): 12,
    (1, 4): 9,
    (1, 5): 11,
    (1, 6): 14,
    (2, 8): 19,
    (2, 9): 16,
    (3, 7): 23,
    (4, 8): 27,
    (4, 9): 23,
    (5, 9): 13,
    (6, 8): 15,
    (7, 10): 17,
    (8, 10): 11,
    (9, 10): 13,
}


@pytest.fixture
def published() -> Problem:
    operators = [
        {"id": f"n{i}", "duration": {f"p{k}": float(w) for k, w in enumerate(row)}}
        for i, row in enumerate(COSTS, start=1)
    ]
    tensors = [
        {"id": f"t{a}-{b}", "producer": f"n{a}", "consumers": [f"n{b}"], "transfer": float(w)}
        for (a, b), w in EDGES.items()
    ]
    devices = [{"id": f"p{k}", "type": f"p{k}"} for k in range(3)]
    return Problem(template=build_graph(operators, tensors), cluster=build_cluster(devices))


def test_published_example(published):
    rank = upward_rank(columns_of(published))
    assert rank == pytest.approx(
        [108, 77, 80, 80, 69, 190 / 3, 128 / 3, 107 / 3, 133 / 3, 44 / 3], abs=0.01
    )
    assert heft(published).makespan == 80
    assert cpop(published).makespan == 86


def test_insertion_uses_idle_time():
    graph = build_graph(
        [
            {"id": "a", "duration": 4.0, "devices": ["d0"]},
            {"id": "b", "duration": 6.0, "devices": ["d1"]},
            {"id": "c", "duration": 3.0, "devices": ["d1"]},
        ],
        [{"id": "t", "producer": "a", "consumers": ["b"]}],
    )
    problem = Problem(template=graph, cluster=build_cluster([{"id": "d0"}, {"id": "d1"}]))
    schedule = heft(problem)
    assert schedule.start.tolist() == [0.0, 4.0, 0.0]  # c runs before b, although b ranks higher


@given(problem=problems())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_schedule_is_valid(problem):
    for name, schedule in list_schedules(problem):
        assert not validate(problem, schedule), name


@given(problem=problems(limited=False))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_without_limits_heft_always_applies(problem):
    assert not validate(problem, heft(problem))


@pytest.mark.parametrize("memory", [2, 4, 9])
def test_memory_limits_are_kept_where_starting_all_forwards_would_not(memory):
    problem = pipeline(4, 12, "bidirectional", memory=memory, released_by_input=1.0)
    for method in (heft, cpop, earliest_start):
        assert not validate(problem, method(problem))


def test_too_little_memory_is_named():
    problem = pipeline(2, 2, "linear", activation=3.0, memory=2.0)
    with pytest.raises(NotApplicable):
        heft(problem)


def test_one_device_needs_a_device_for_all():
    problem = pipeline(3, 2, "linear")
    with pytest.raises(NotApplicable, match="no device may run every operator"):
        one_device(problem)


def test_large_graph_takes_arrays_only():
    n, width = 20_000, 40
    rng = np.random.default_rng(0)
    problem = Problem(
        template=build_graph(
            [{"id": str(i), "duration": float(d)} for i, d in enumerate(rng.integers(1, 9, n))],
            [
                {"id": f"t{i}", "producer": str(i), "consumers": [str(i + width)], "size": 1.0}
                for i in range(n - width)
            ],
        ),
        cluster=build_cluster([{"id": f"d{k}"} for k in range(8)]),
    )
    schedule = heft(problem)
    load = problem.graph.duration.sum() / 8
    assert load <= schedule.makespan <= 1.02 * load
