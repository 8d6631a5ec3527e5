"""Figures of schedules: three definitions of bubbles against the formulas of the literature."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from planner_core.analysis.metrics import metrics
from planner_core.problem import Objective, Problem, build_cluster, build_graph
from planner_core.schedule import simulate
from planner_core.workloads import pipeline
from tests.strategies import scheduled


def one_forward_one_backward(p, m):
    """Return 1F1B with equal forward and backward times."""
    problem = pipeline(p, m, forward=1, backward=1)
    index = problem.graph.operator_index
    rows = []
    for s in range(p):
        warm_up = min(p - s, m)
        names = [f"F{s}@{i}" for i in range(warm_up)]
        for i in range(m):
            names.append(f"B{s}@{i}")
            if warm_up + i < m:
                names.append(f"F{s}@{warm_up + i}")
        rows.append([index[name] for name in names])
    return problem, simulate(problem, problem.fixed_device, rows)


@pytest.mark.parametrize(("p", "m"), [(2, 4), (4, 8), (8, 20)])
def test_bubbles_of_1f1b(p, m):
    problem, schedule = one_forward_one_backward(p, m)
    figures = metrics(problem, schedule)
    assert figures.makespan == 2 * (m + p - 1)
    assert figures.textbook_rate == pytest.approx((p - 1) / m)
    assert figures.textbook_rate_of_makespan == pytest.approx((p - 1) / (m + p - 1))
    assert figures.idle_share == pytest.approx((p - 1) / (m + p - 1))
    # the first device's window is the whole makespan, and the longest
    assert figures.window_share == pytest.approx((p - 1) / (m + p - 1))
    assert figures.devices[p - 1].window_share == pytest.approx(0)
    assert figures.utilisation == pytest.approx(m / (m + p - 1))
    assert figures.balance == 1
    assert figures.throughput == pytest.approx(m / figures.makespan)
    assert figures.period == 2
    assert [d.peak_memory for d in figures.devices] == [min(p - s, m) for s in range(p)]
    assert figures.peak_memory == min(p, m)


def three(links=None, **more) -> Problem:
    return Problem(
        template=build_graph(
            [
                {"id": "a", "duration": 2},
                {"id": "b", "duration": 1},
                {"id": "n", "duration": 3, "stream": "network"},
            ],
            [{"id": "t", "producer": "a", "consumers": ["b"], "size": 5, "transfer": 1}],
        ),
        cluster=build_cluster([{"id": "d0"}, {"id": "d1"}, {"id": "d2"}], links, **more),
    )


def test_busy_is_the_busiest_stream_and_idle_devices_count():
    problem = three()
    schedule = simulate(problem, np.array([0, 1, 0], dtype=np.int32), [[0, 2], [1], []])
    figures = metrics(problem, schedule)
    assert [d.busy for d in figures.devices] == [3, 1, 0]
    assert [d.idle for d in figures.devices] == [1, 3, 4]
    assert [d.window for d in figures.devices] == [3, 1, 0]
    assert [d.utilisation for d in figures.devices] == [0.75, 0.25, 0]
    assert figures.idle_share == pytest.approx(1 - 4 / 12)
    assert figures.balance == pytest.approx(4 / 3 / 3)
    assert figures.transfer_volume == 5
    assert figures.window_share == 0


def test_staged_copies_are_work_and_widen_the_window():
    problem = three(transfers="staged")
    schedule = simulate(problem, np.array([0, 1, 2], dtype=np.int32), [[0], [1], [2]])
    figures = metrics(problem, schedule)
    assert [d.busy for d in figures.devices] == [3, 2, 3]
    assert [d.window for d in figures.devices] == [3, 2, 3]


def test_throughput_of_a_steady_state_is_one_over_the_period():
    problem = replace(three(), objective=Objective(("period",)), micro_batches=4)
    schedule = simulate(problem, np.array([0, 1, 2], dtype=np.int32), [[0], [1], [2]])
    figures = metrics(problem, schedule)
    assert figures.period == 3
    assert figures.throughput == pytest.approx(1 / 3)


def test_nothing_takes_time():
    problem = Problem(
        template=build_graph([{"id": "a", "duration": 0}]), cluster=build_cluster([{"id": "d"}])
    )
    figures = metrics(problem, simulate(problem, np.zeros(1, dtype=np.int32), [[0]]))
    assert (figures.idle_share, figures.textbook_rate, figures.window_share) == (0, 0, 0)
    assert figures.throughput == float("inf")


@settings(max_examples=100, deadline=None)
@given(scheduled())
def test_shares_are_shares(drawn):
    problem, schedule = drawn
    figures = metrics(problem, schedule)
    assert -1e-9 <= figures.idle_share <= 1
    assert -1e-9 <= figures.window_share <= 1
    assert 0 <= figures.balance <= 1 + 1e-9
    assert figures.textbook_rate >= -1e-9
    for device in figures.devices:
        assert device.busy <= device.window + 1e-9
        assert device.window <= figures.makespan + 1e-9
        assert device.busy + device.idle == pytest.approx(figures.makespan)
