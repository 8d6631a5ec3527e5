"""Horizon search alone: from nothing to a proof, and what it leaves when told to stop."""

import pytest

from planner_core.schedule import validate
from planner_core.search import Cancellation
from planner_core.search.horizon import HorizonSearch
from planner_core.search.makespan import serial_makespan
from planner_core.search.questions import PlacedQuestion
from planner_core.search.state import Clock, SearchState
from planner_core.workloads.pipeline import pipeline


def cold(problem) -> HorizonSearch:
    """Return a horizon search without incumbent and bound."""
    state = SearchState(problem, "makespan", Clock.start(20.0), Cancellation())
    ceiling = serial_makespan(problem)
    return HorizonSearch(state, PlacedQuestion.of(problem, ceiling), ceiling)


@pytest.mark.parametrize(
    ("problem", "optimum"),
    [
        (pipeline(2, 3), 10.0),  # fill of one slot, then the last device is busy
        (pipeline(2, 3, memory=1), 15.0),  # one micro-batch after the other: F F I I W
        (pipeline(2, 1, forward=0.5, transfer=0.25), 4.5),
    ],
)
def test_proves_the_optimum_from_nothing(problem, optimum):
    search = cold(problem)
    assert search.question.exact
    search.run()
    state = search.state
    assert state.optimal
    assert (state.value, state.bound) == (optimum, optimum)
    assert (state.found_by, state.proved_by) == ("time-indexed MIP", "time-indexed MIP")
    assert not validate(problem, state.schedule)


def test_a_horizon_below_the_optimum_raises_the_bound_past_it():
    search = cold(pipeline(2, 3, memory=1))
    slots = search.question.slots(14.0)
    result = search.ask(slots)
    assert result is None or result.status == "infeasible"
    assert search.state.bound == 15.0
    assert search.lowest == slots + 1
    assert search.state.schedule is None


def test_a_window_that_is_empty_needs_no_model():
    search = cold(pipeline(2, 1))
    assert search.ask(search.question.slots(4.0)) is None
    assert search.built is None
    assert search.state.bound == 5.0


def test_a_cancelled_state_is_left_as_it_was():
    search = cold(pipeline(2, 3))
    search.state.cancel.set()
    search.run()
    search.ask(search.question.slots(9.0))
    assert (search.state.schedule, search.state.bound) == (None, 0.0)
