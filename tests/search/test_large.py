"""Bi-level search: merged graphs are planned, un-merged, offered; progress tells their size."""

import threading

from planner_core.schedule import validate
from planner_core.search import large
from planner_core.search.large import SMALLEST, is_worth_merging, search_merged
from planner_core.search.state import Clock, SearchState
from planner_core.workloads.random_graphs import random_layered


def searched(problem, seconds, cancel=None):
    events = []
    state = SearchState(
        problem, "makespan", Clock.start(seconds), cancel or threading.Event(), events.append
    )
    whole = []

    def whole_search(inner):
        from planner_core.search.makespan import offer_list_schedules

        whole.append(inner.problem.graph.n_operators)
        offer_list_schedules(inner)

    search_merged(state, whole_search)
    return state, events, whole


def test_merged_graphs_give_valid_plans_of_the_original(monkeypatch):
    monkeypatch.setattr(large, "LOCAL_SEARCH", 0)  # list schedules alone take no time
    problem = random_layered(SMALLEST + 300, 4, seed=2)
    assert is_worth_merging(problem)
    state, events, _ = searched(problem, 600.0)
    assert state.schedule is not None
    assert len(state.schedule.start) == problem.graph.n_operators
    assert validate(problem, state.schedule) == []
    assert "merged operators" in state.found_by
    sizes = [event.merged_operators for event in events if event.merged_operators is not None]
    assert sizes
    assert max(sizes) < problem.graph.n_operators
    assert sizes == sorted(sizes, reverse=True)


def test_a_cancelled_search_offers_nothing():
    cancel = threading.Event()
    cancel.set()
    state, _, _ = searched(random_layered(SMALLEST + 300, 4, seed=2), 60.0, cancel)
    assert state.schedule is None


def test_small_and_placed_graphs_are_left_to_others():
    small = random_layered(SMALLEST, 2, seed=1)
    assert not is_worth_merging(small)
    larger = random_layered(SMALLEST + 1, 2, seed=1)
    assert is_worth_merging(larger)
    assert not is_worth_merging(larger.with_placement(larger.graph.stream * 0))
