"""The one way in: values, proofs, cancellation, time, progress, and what cannot be done."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from planner_core.baselines.list_scheduling import list_schedules
from planner_core.problem import InputError, Objective, Problem, build_cluster, build_graph
from planner_core.schedule import validate
from planner_core.search import Cancellation, Options, local_search, makespan, plan, planner
from planner_core.search.state import new_state
from planner_core.workloads.pipeline import pipeline
from tests.brute_force import shorter_schedule

LIMIT = Options(time_limit=10.0)


@pytest.mark.parametrize(
    ("problem", "optimum"),
    [
        (pipeline(2, 2), 7.0),
        (pipeline(2, 4), 13.0),
        (pipeline(2, 3, memory=1), 15.0),  # one micro-batch after the other: F F I I W
        (pipeline(3, 3, transfer=0.5), 13.0),
    ],
)
def test_known_optima_are_proved(problem, optimum):
    found = plan(problem, LIMIT)
    assert (found.status, found.value) == ("optimal", optimum)
    assert found.lower_bound == pytest.approx(optimum)
    assert not validate(problem, found.schedule)


@pytest.mark.parametrize(
    "problem",
    [
        pipeline(2, 1, backward=2.0),
        pipeline(2, 1, backward=1.0, transfer=1.0),
        pipeline(1, 2, backward=1.0, memory=1),
    ],
)
def test_brute_force_finds_nothing_shorter(problem):
    found = plan(problem, LIMIT)
    assert found.status == "optimal"
    assert shorter_schedule(problem, found.value) is None
    assert shorter_schedule(problem, found.value + 1).makespan == found.value


HARD = pipeline(
    8, 20, "bidirectional", forward=[1, 1.3, 0.9, 1.1, 1, 1, 1.2, 1], transfer=0.3, memory=9
)


def test_cancelled_before_it_begins():
    cancel = Cancellation()
    cancel.set()
    found = plan(HARD, Options(time_limit=600.0), cancel=cancel)
    assert found.status in ("feasible", "unknown")
    assert found.seconds < 300
    if found.schedule is not None:
        assert not validate(HARD, found.schedule)


@pytest.mark.parametrize("seconds", [0.5, 0.2, 0.01])
def test_a_short_time_still_gives_a_schedule(seconds):
    found = plan(HARD, Options(time_limit=seconds))
    assert found.schedule is not None
    assert not validate(HARD, found.schedule)
    assert found.lower_bound <= found.value


def crowded() -> Problem:
    """Four pairs on one device whose memory holds one tensor: no pipeline, no plain order fits."""
    return Problem(
        template=build_graph(
            [{"id": f"{what}{i}", "duration": 1.0} for what in "ab" for i in range(4)],
            [
                {"id": f"t{i}", "producer": f"a{i}", "consumers": [f"b{i}"], "size": 1.0}
                for i in range(4)
            ],
        ),
        cluster=build_cluster([{"id": "d", "memory": 1.0}]),
    )


@pytest.mark.parametrize("problem", [HARD, crowded()])
def test_a_schedule_comes_before_the_bounds_that_take_long(problem, monkeypatch):
    events, known = [], []

    def slow(problem):
        known.append(any(event.schedule is not None for event in events))
        return []

    monkeypatch.setattr(makespan, "makespan_bounds", slow)
    plan(problem, Options(time_limit=1.0), on_progress=events.append)
    assert known[0]


def test_a_search_that_ends_with_nothing_gets_a_list_schedule(monkeypatch):
    monkeypatch.setattr(planner, "search_measure", lambda state: None)
    events = []
    found = plan(crowded(), Options(time_limit=0.1), on_progress=events.append)
    assert found.value == 8.0
    assert events[-1].schedule is found.schedule


def test_what_is_left_behind_changes_nothing_after_the_end(monkeypatch):
    """The plan that is returned is the last one that was told of."""
    states = []
    monkeypatch.setattr(planner, "search_measure", states.append)
    events = []
    found = plan(HARD, Options(time_limit=600.0), on_progress=events.append)
    told = len(events)
    [state] = states
    assert state.stopped()
    state.value = np.inf
    assert not state.offer(found.schedule, "left behind")
    state.raise_bound(1.0, "left behind")
    state.enter("left behind")
    assert len(events) == told
    assert state.bound == found.lower_bound


@pytest.mark.parametrize("problem", [pipeline(2, 3, "v", memory=2), HARD])
def test_progress_only_ever_improves(problem):
    events = []
    found = plan(problem, Options(time_limit=2.0), on_progress=events.append)
    incumbents = [np.inf if e.incumbent is None else e.incumbent for e in events]
    bounds = [e.lower_bound for e in events]
    assert incumbents == sorted(incumbents, reverse=True)
    assert bounds == sorted(bounds)
    announced = [e for e in events if e.schedule is not None]
    assert announced
    for event in announced:
        assert not validate(problem, event.schedule)
        assert event.schedule.makespan == event.incumbent
        assert event.found_by
    assert incumbents[-1] == found.value
    assert announced[-1].schedule is found.schedule


def test_memory_that_cannot_do_names_the_device():
    found = plan(pipeline(2, 2, memory=[2, 0.5]), LIMIT)
    assert (found.status, found.schedule) == ("infeasible", None)
    assert "'gpu1' needs at least 1" in found.reason
    assert "its limit is 0.5" in found.reason


def test_a_makespan_budget_that_cannot_do_names_the_bound():
    problem = pipeline(2, 4)
    goal = Objective(("peak_memory",), {"makespan": 12.0})
    found = plan(replace(problem, objective=goal), LIMIT)
    assert (found.status, found.schedule) == ("infeasible", None)
    assert "the budget for makespan is 12, 1 too little" in found.reason
    assert "at least 13" in found.reason


def test_the_seed_reaches_the_local_search(monkeypatch):
    problem, seeds = pipeline(2, 3, backward=2.0, transfer=0.3), []

    def improve(*_, seed=None, **__):
        seeds.append(seed)
        raise InputError("enough")

    monkeypatch.setattr(local_search, "improve", improve)
    for seed in (0, 7):
        state = new_state(problem, Options(time_limit=5.0, seed=seed), None, None)
        with makespan._LocalSearch(state) as local:
            state.offer(next(iter(list_schedules(problem)))[1], "list")
            local.thread.join(5.0)
    assert seeds == [0, 7 * makespan.SEED_STRIDE]


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(InputError, match=f"the seed is {seed}; it must lie between 0 and"):
        Options(seed=seed)


AT_EXIT = """
from planner_core.search import Options, plan
from planner_core.workloads import pipeline

plan(pipeline(8, 20, "bidirectional", transfer=0.3, memory=9), Options(time_limit=0.05))
"""


def test_a_process_ends_well_while_threads_are_left_behind(tmp_path):
    """Compiled code still at work must not abort the process: its cache is empty here."""
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", AT_EXIT],
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / str(i))},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(4)
    ]
    ends = [(*run.communicate(timeout=300), run.returncode) for run in runs]
    assert ends == [("", "", 0)] * 4


def test_local_search_waits_for_a_schedule():
    """Where none fits yet there is nothing to improve, and the time belongs to what finds one."""
    problem = pipeline(2, 2)
    state = new_state(problem, Options(time_limit=5.0), None, None)
    state.enter("bounds")
    makespan._search_with_another(state, None)
    assert state.phase == "bounds"
    assert state.schedule is None
