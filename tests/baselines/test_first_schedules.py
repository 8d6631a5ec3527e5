"""First schedules keep every rule but memory, without compiled code."""

import subprocess
import sys

import pytest
from hypothesis import given, settings

from planner_core.baselines.first_schedules import INTERPRETED_OPERATORS, first_schedules
from planner_core.problem import Problem, build_cluster, build_graph
from planner_core.schedule import validate
from planner_core.workloads.random_graphs import random_layered
from tests.strategies import problems


@settings(max_examples=100, deadline=None)
@given(problems(limited=False))
def test_every_rule_is_kept(problem):
    found = list(first_schedules(problem))
    assert found
    for name, schedule in found:
        assert not validate(problem, schedule), name


def test_work_is_spread_over_devices():
    problem = Problem(
        template=build_graph([{"id": f"o{i}", "duration": 1.0} for i in range(6)], []),
        cluster=build_cluster([{"id": f"d{k}"} for k in range(3)]),
    )
    assert min(schedule.makespan for _, schedule in first_schedules(problem)) == 2.0


def test_expensive_transfers_are_avoided():
    problem = Problem(
        template=build_graph(
            [{"id": f"o{i}", "duration": 1.0} for i in range(3)],
            [{"id": "t", "producer": "o0", "consumers": ["o1", "o2"], "size": 1.0}],
        ),
        cluster=build_cluster([{"id": "a"}, {"id": "b"}], {"default": {"latency": 5.0}}),
    )
    assert min(schedule.makespan for _, schedule in first_schedules(problem)) == 3.0


@pytest.mark.parametrize("operators", [INTERPRETED_OPERATORS, INTERPRETED_OPERATORS + 1])
def test_large_graphs_are_left_to_compiled_code(operators):
    found = list(first_schedules(random_layered(operators, 2, seed=1)))
    assert bool(found) == (operators <= INTERPRETED_OPERATORS)


def test_numba_is_not_imported():
    code = (
        "import sys\n"
        "from planner_core.baselines.first_schedules import first_schedules\n"
        "from planner_core.workloads.random_graphs import random_layered\n"
        "assert list(first_schedules(random_layered(20, 2, seed=1)))\n"
        "assert 'numba' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
