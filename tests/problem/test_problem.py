"""Durations per device, transfer times, and variants of a problem."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from planner_core.problem import InputError, Objective, Problem, build_cluster, build_graph
from tests.strategies import problems


def a_problem(**more) -> Problem:
    return Problem(
        template=build_graph(
            [
                {"id": "a", "duration": 6},
                {"id": "b", "duration": {"x": 3}},
                {"id": "c", "duration": 4, "devices": ["d1"]},
            ],
            [
                {"id": "t", "producer": "a", "consumers": ["b", "c"], "size": 8},
                {"id": "u", "producer": "a", "consumers": ["c"], "size": 8, "transfer": 0.25},
            ],
        ),
        cluster=build_cluster(
            [{"id": "d0", "type": "x", "speed": 2}, {"id": "d1", "speed": 4}],
            [{"source": "d0", "target": "d1", "latency": 1, "bandwidth": 4}],
        ),
        **more,
    )


def test_durations_by_speed_type_and_device_list():
    assert a_problem().durations.tolist() == [[3, 1.5], [3, np.inf], [np.inf, 1]]
    assert a_problem().fixed_device.tolist() == [-1, 0, 1]
    assert not a_problem().is_placed


def test_transfer_times():
    problem = a_problem()
    assert problem.transfer_time(0, 0, 0) == 0
    assert problem.transfer_time(0, 0, 1) == 1 + 8 / 4
    assert problem.transfer_time(1, 0, 1) == 0.25
    assert problem.transfer_time(0, 1, 0) == np.inf
    assert problem.transfer_time(1, 1, 0) == np.inf


def test_micro_batches_repeat_but_not_for_the_period():
    assert a_problem(micro_batches=3).graph.n_operators == 9
    steady = a_problem(micro_batches=3, objective=Objective(("period",)))
    assert steady.graph is steady.template


@settings(max_examples=50, deadline=None)
@given(problems(placed=True))
def test_a_placement_leaves_only_itself(problem):
    device = problem.fixed_device
    assert problem.is_placed
    fixed = problem.with_placement(device)
    assert fixed.fixed_device.tolist() == device.tolist()
    rows = np.arange(problem.graph.n_operators)
    np.testing.assert_array_equal(fixed.durations[rows, device], problem.durations[rows, device])


def test_other_memory():
    problem = a_problem()
    assert problem.with_memory(5).cluster.memory.tolist() == [5, 5]
    assert problem.with_memory([5, 6]).cluster.memory.tolist() == [5, 6]
    assert problem.cluster.memory.tolist() == [np.inf, np.inf]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((),), "the objective minimises nothing; name at least one of makespan"),
        ((("cost",),), "the objective names 'cost'; it must be one of makespan"),
        ((("makespan",), {"cost": 1}), "the objective names 'cost'"),
        ((("makespan", "makespan"),), "the same measure twice"),
        ((("makespan",), {"makespan": 1}), "'makespan' is both minimised and limited"),
    ],
)
def test_objective_messages(arguments, message):
    with pytest.raises(InputError, match=message):
        Objective(*arguments)


def test_the_speed_of_like_devices_counts():
    like = build_cluster([{"id": "d0", "speed": 2}, {"id": "d1", "speed": 2}])
    problem = replace(a_problem(), cluster=like, template=build_graph([{"id": "a", "duration": 6}]))
    assert problem.durations.tolist() == [[3, 3]]
