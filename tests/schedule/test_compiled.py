"""Compiled and interpreted runs of the same function agree."""

import numpy as np
import pytest

from planner_core.baselines.list_scheduling import heft
from planner_core.schedule import compile_tasks, compiled, retime, simulate, validate
from planner_core.workloads.random_graphs import random_layered


@pytest.mark.parametrize("threshold", [0, 10**9])
def test_simulator_and_retiming_do_not_depend_on_the_way_they_run(monkeypatch, threshold):
    monkeypatch.setattr(compiled, "COMPILED_TASKS", threshold)
    problem = random_layered(400, 4, seed=7)
    schedule = heft(problem)
    again = simulate(problem, schedule.device, schedule.order(problem))
    assert validate(problem, again) == []
    assert again.makespan == pytest.approx(schedule.makespan)
    tasks = compile_tasks(problem, schedule.device)
    late = tasks.start_times(schedule) * 2
    assert np.allclose(retime(tasks, late), schedule.start, atol=1e-9 * schedule.makespan)
