"""Rounding to slots and the windows that follow."""

import numpy as np
import pytest
from hypothesis import given, settings

from planner_core.milp.free_grid import FreeGrid, distinct_devices
from planner_core.milp.grid import Grid, round_up
from planner_core.problem import Problem, build_cluster, build_graph
from planner_core.schedule import compile_tasks
from tests.strategies import scheduled


def test_a_hair_above_a_whole_number_is_that_number():
    assert round_up(np.array([0.0, 0.3, 0.1 + 0.2, 0.31]), 0.1).tolist() == [0, 3, 3, 4]


@settings(max_examples=100, deadline=None)
@given(scheduled(placed=True, limited=False))
def test_windows_hold_every_schedule(found):
    """On a fine grid no schedule starts a task outside its window, rounding allowed for."""
    problem, schedule = found
    tasks = compile_tasks(problem, problem.fixed_device)
    slot = 1e-3
    rounding = tasks.n_tasks + len(tasks.arc_from)
    windows = Grid.of(tasks, slot).windows(int(schedule.makespan / slot) + rounding)
    start = tasks.start_times(schedule) / slot
    assert np.all(windows.earliest <= start + rounding)
    assert np.all(start <= windows.latest + rounding)


def alike(count: int, **device: float) -> Problem:
    operators = [{"id": f"o{i}", "duration": 1.0} for i in range(4)]
    devices = [{"id": f"d{k}", **device} for k in range(count)]
    return Problem(template=build_graph(operators, []), cluster=build_cluster(devices))


def test_like_devices_are_named_in_the_order_of_their_first_use():
    assert distinct_devices(alike(3)).tolist() == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
        [True, True, True],
    ]


@pytest.mark.parametrize("key", ["memory", "speed"])
def test_unlike_devices_are_all_tried(key):
    operators = [{"id": "o", "duration": 1.0}]
    devices = [{"id": "a", key: 1.0}, {"id": "b", key: 2.0}]
    problem = Problem(template=build_graph(operators, []), cluster=build_cluster(devices))
    assert distinct_devices(problem).all()


def test_devices_with_unlike_links_are_all_tried():
    link = {"source": "a", "target": "b", "latency": 1.0}
    problem = Problem(
        template=build_graph([{"id": "o", "duration": 1.0}], []),
        cluster=build_cluster([{"id": "a"}, {"id": "b"}], [link]),
    )
    assert distinct_devices(problem).all()


def test_free_windows_know_transfers():
    """b follows a at once on a's device, two slots later on the other."""
    problem = Problem(
        template=build_graph(
            [{"id": "a", "duration": 1.0, "devices": ["d0"]}, {"id": "b", "duration": 3.0}],
            [{"id": "t", "producer": "a", "consumers": ["b"], "size": 1.0}],
        ),
        cluster=build_cluster([{"id": "d0"}, {"id": "d1"}], {"default": {"latency": 2.0}}),
    )
    early, late = FreeGrid.of(problem, 1.0).windows(6)
    assert early[1].tolist() == [1, 3]
    assert late[1].tolist() == [3, 3]
    assert late[0, 0] == 2
