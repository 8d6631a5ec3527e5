import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_core.analysis.idle_causes import CHOICE, DONE, MEMORY, OPERATOR, TRANSFER, idle_causes
from planner_core.analysis.metrics import metrics
from planner_core.baselines import run_baseline
from planner_core.problem import Problem, build_cluster, build_graph
from planner_core.schedule import Schedule
from planner_core.workloads import pipeline


@given(st.integers(1, 5), st.integers(1, 6), st.sampled_from([0.0, 0.7]))
@settings(max_examples=25, deadline=None)
def test_gaps_are_the_idle_time(devices, batches, transfer):
    problem = pipeline(devices, batches, transfer=transfer)
    schedule = run_baseline("1f1b", problem).schedule
    gaps = idle_causes(problem, schedule)
    for k, device in enumerate(metrics(problem, schedule).devices):
        total = sum(gap.end - gap.start for gap in gaps if gap.device == k)
        np.testing.assert_allclose(total, device.idle, atol=1e-9)
    assert transfer > 0 or all(gap.cause != TRANSFER for gap in gaps)


def test_every_cause_on_one_device():
    """A needs x, made until 2 and moved until 3; memory is full until 5; A starts at 6."""
    operators = [
        {"id": "P", "duration": 2, "devices": ["a"]},
        {"id": "H", "duration": 1, "devices": ["b"]},
        {"id": "U", "duration": 1, "devices": ["a"]},
        {"id": "A", "duration": 1, "devices": ["b"]},
        {"id": "Z", "duration": 8, "devices": ["a"]},
    ]
    tensors = [
        {"id": "x", "producer": "P", "consumers": ["A"], "transfer": 1},
        {"id": "h", "producer": "H", "consumers": ["U"], "size": 2, "transfer": 4},
        {"id": "y", "producer": "A", "consumers": ["Z"], "size": 2},
    ]
    problem = Problem(
        template=build_graph(operators, tensors),
        cluster=build_cluster([{"id": "a"}, {"id": "b", "memory": 3}]),
    )
    start = np.array([0.0, 0.0, 5.0, 6.0, 7.0])
    schedule = Schedule(
        device=problem.fixed_device,
        start=start,
        finish=start + np.array([2.0, 1.0, 1.0, 1.0, 8.0]),
    )
    found = [
        (gap.start, gap.end, gap.cause) for gap in idle_causes(problem, schedule) if gap.device == 1
    ]
    assert found == [
        (1.0, 2.0, OPERATOR),
        (2.0, 3.0, TRANSFER),
        (3.0, 5.0, MEMORY),
        (5.0, 6.0, CHOICE),
        (7.0, 15.0, DONE),
    ]
