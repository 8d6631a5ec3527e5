import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from planner_core.analysis.instant import at, instants, running_at
from planner_core.baselines import run_baseline
from planner_core.workloads import pipeline


def small():
    problem = pipeline(2, 2, backward=2.0)
    return problem, run_baseline("gpipe", problem).schedule


def names(problem, operators):
    return [str(problem.graph.operator_ids[o]) for o in operators]


def test_instants_are_all_starts_and_finishes_once():
    _, schedule = small()
    assert instants([schedule]) == [0, 1, 2, 3, 5, 7, 9]
    assert instants([schedule, schedule]) == instants([schedule])


def test_an_operator_runs_from_its_start_until_before_its_finish():
    problem, schedule = small()
    assert names(problem, running_at(schedule, 0)) == ["F0@0"]
    assert names(problem, running_at(schedule, 1)) == ["F1@0", "F0@1"]
    assert names(problem, running_at(schedule, 9)) == []


def test_memory_is_what_is_held_at_that_instant():
    problem, schedule = small()
    assert [now.memory for now in at(problem, schedule, 0)] == [1, 0]
    assert [now.memory for now in at(problem, schedule, 2.5)] == [2, 2]
    assert [now.memory for now in at(problem, schedule, 9)] == [0, 0]


@given(st.integers(1, 4), st.integers(1, 6), st.floats(0, 1))
def test_every_device_runs_at_most_one_operator_and_the_times_agree(p, m, part):
    problem = pipeline(p, m)
    schedule = run_baseline("1f1b", problem).schedule
    time = part * schedule.makespan
    for now in at(problem, schedule, time):
        assert len(now.running) <= 1
        for o in now.running:
            assert schedule.device[o] == now.device
            assert schedule.start[o] <= time * (1 + 1e-9) + 1e-6
            assert schedule.finish[o] > time
    total = sum(
        b - a
        for a, b in zip(instants([schedule])[:-1], instants([schedule])[1:], strict=True)
        for _ in running_at(schedule, a)
    )
    assert np.isclose(total, (schedule.finish - schedule.start).sum())
