"""The one way in: values, proofs, cancellation, time, progress, and what cannot be done."""

from dataclasses import replace

import numpy as np
import pytest

from planner_core.problem import Objective
from planner_core.schedule import validate
from planner_core.search import Cancellation, Options, plan
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


def test_a_short_time_still_gives_a_schedule():
    found = plan(HARD, Options(time_limit=0.5))
    assert found.schedule is not None
    assert not validate(HARD, found.schedule)
    assert found.lower_bound <= found.value


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
