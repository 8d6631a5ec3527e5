"""Least peak memory, with and without a makespan budget; a budget nothing keeps."""

from dataclasses import replace

import pytest

from planner_core.problem import Objective, Problem
from planner_core.schedule import measure, validate
from planner_core.search import Cancellation, Options, plan
from planner_core.search.peak_memory import memory_step, search_peak_memory
from planner_core.search.state import Clock, SearchState
from planner_core.workloads.pipeline import pipeline

LIMIT = Options(time_limit=10.0)
PIPELINE = pipeline(4, 8, "bidirectional", released_by_input=1.0)


def under(problem: Problem, makespan: float | None) -> Problem:
    budget = {} if makespan is None else {"makespan": makespan}
    return replace(problem, objective=Objective(("peak_memory",), budget))


def test_without_a_budget_one_activation_at_a_time_is_enough():
    found = plan(under(PIPELINE, None), LIMIT)
    assert (found.status, found.value, found.lower_bound) == ("optimal", 1.0, 1.0)
    assert not validate(found.problem, found.schedule)


def test_the_less_time_the_more_memory():
    """Each answer is proved, keeps its budget and needs no less memory than with more time."""
    least = []
    for budget in (26.0, 30.0, None):
        problem = under(PIPELINE, budget)
        found = plan(problem, LIMIT)
        assert found.status == "optimal"
        assert not validate(problem, found.schedule)
        assert found.value == measure("peak_memory", problem, found.schedule)
        assert budget is None or found.makespan <= budget
        least.append(found.value)
    assert least == sorted(least, reverse=True)
    assert least[0] > least[-1]


def test_memory_and_time_agree_from_both_sides():
    """With less than the least memory the budget cannot be kept; with it, it can."""
    problem = pipeline(3, 4, released_by_input=1.0)
    budget = 15.0
    least = plan(under(problem, budget), LIMIT)
    assert least.status == "optimal"
    assert plan(problem.with_memory(least.value), LIMIT).value <= budget
    less = plan(problem.with_memory(least.value - 1), LIMIT)
    assert less.status == "infeasible" or less.lower_bound > budget


def test_a_budget_that_cannot_be_kept_is_proved():
    found = plan(under(PIPELINE, 24.0), LIMIT)
    assert (found.status, found.schedule) == ("infeasible", None)
    assert "the budget for makespan is 24, 1 too little" in found.reason


def test_the_search_itself_proves_a_budget_out_of_reach():
    """Memory for one micro-batch at a time: 15, which no bound at hand sees."""
    problem = under(pipeline(2, 3, memory=1), 14.0)
    state = SearchState(problem, "peak_memory", Clock.start(10.0), Cancellation())
    search_peak_memory(state)
    assert state.schedule is None
    assert state.impossible
    assert state.target == 14.0
    assert state.bound == 15.0


def test_the_step_of_memory_counts_everything_that_takes_some():
    assert memory_step(pipeline(2, 2, activation=6.0, weights=4.0)) == pytest.approx(2.0)
    assert memory_step(pipeline(2, 2, activation=6.0, released_by_input=0.25)) == 1.5
    assert memory_step(pipeline(2, 2, activation=2**0.5, weights=1.0)) is None
