"""The measures that plans minimise, on schedules small enough to add up by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from planner_core.problem import Objective, Problem, build_cluster, build_graph
from planner_core.schedule import (
    Plan,
    Transfers,
    device_use,
    measure,
    micro_batch_count,
    proves_optimal,
    relative_gap,
    simulate,
    stream_loads,
)
from planner_core.workloads import pipeline
from tests.strategies import scheduled


def fan(**cluster) -> Problem:
    """Return one producer whose tensor goes to two consumers on one device and one on another."""
    return Problem(
        template=build_graph(
            [{"id": name, "duration": 1} for name in "abcd"],
            [{"id": "t", "producer": "a", "consumers": ["b", "c", "d"], "size": 3, "transfer": 2}],
        ),
        cluster=build_cluster([{"id": "d0"}, {"id": "d1"}, {"id": "d2", "host": True}], **cluster),
    )


DEVICE, ORDER = np.array([0, 1, 1, 2], dtype=np.int32), [[0], [1, 2], [3]]


def test_transfer_volume_counts_each_receiving_device_once():
    problem = fan()
    schedule = simulate(problem, DEVICE, ORDER)
    assert measure("transfer", problem, schedule) == 6
    assert measure("transfer", problem, replace(schedule, transfers=Transfers())) == 6


def test_staged_copies_are_paid_once_by_the_sender_and_by_each_receiver_but_hosts():
    problem = fan(transfers="staged")
    schedule = simulate(problem, DEVICE, ORDER)
    assert stream_loads(problem, schedule)[:, 0].tolist() == [3, 4, 1]
    assert measure("period", problem, schedule) == 4
    free = fan()
    overlapped = simulate(free, DEVICE, ORDER)
    assert stream_loads(free, overlapped)[:, 0].tolist() == [1, 2, 1]


@pytest.mark.parametrize("placement", ["linear", "bidirectional"])
def test_period_is_per_micro_batch(placement):
    problem = pipeline(2, 4, placement)
    order = [[] for _ in range(2)]
    for o in problem.graph.topological_order.tolist():
        order[problem.fixed_device[o]].append(o)
    schedule = simulate(problem, problem.fixed_device, order)
    assert micro_batch_count(problem) == 4
    assert measure("period", problem, schedule) == 3
    steady = replace(problem, objective=Objective(("period",)))
    assert micro_batch_count(steady) == (1 if placement == "linear" else 4)


@settings(max_examples=80, deadline=None)
@given(scheduled())
def test_device_use_adds_up(drawn):
    problem, schedule = drawn
    loads = stream_loads(problem, schedule)
    for k, use in enumerate(device_use(problem, schedule)):
        assert use.busy == loads[k].max()
        assert use.idle == pytest.approx(schedule.makespan - use.busy)
        assert use.idle >= -1e-9
    assert measure("makespan", problem, schedule) == schedule.finish.max(initial=0)
    peak = max(use.peak_memory for use in device_use(problem, schedule))
    assert measure("peak_memory", problem, schedule) == peak


def test_gap_and_proof():
    assert proves_optimal(63.0, 63.0)
    assert proves_optimal(63.0, 63.0 - 1e-9)
    assert not proves_optimal(63.0, 62.999)
    assert relative_gap(66.0, 63.0) == pytest.approx(3 / 66)
    assert relative_gap(63.0, 63.0) == 0
    assert relative_gap(0.0, 0.0) == 0
    assert relative_gap(float("inf"), 3.0) == 1


def test_a_plan_without_a_schedule_has_no_figures():
    plan = Plan(problem=fan(), status="unknown")
    assert (plan.makespan, plan.period, plan.gap, plan.devices()) == (None, None, None, [])
