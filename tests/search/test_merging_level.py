"""The merging level a user sets reaches every search, and never makes a plan unsound."""

from dataclasses import replace

import pytest

from planner_core.merging.upper_level import METHODS, merge
from planner_core.problem import InputError, Objective
from planner_core.problem.settings import MERGINGS, Settings
from planner_core.schedule import validate
from planner_core.search import Options, large, makespan, plan, stages
from planner_core.search.state import new_state
from planner_core.workloads.pipeline import pipeline
from planner_core.workloads.random_graphs import random_layered
from planner_core.workloads.training import training


def graph(operators=30, measure="makespan"):
    return replace(random_layered(operators, 3, seed=4), objective=Objective((measure,)))


def merged_sizes(problem, **options):
    """Plan for a moment; return the plan and the sizes of merged graphs that were told of."""
    sizes = set()
    found = plan(
        problem, Options(time_limit=4, **options), lambda event: sizes.add(event.merged_operators)
    )
    return found, sizes - {None}


def test_every_heuristic_has_a_line_of_help():
    assert set(MERGINGS) == {"automatic", "none", *METHODS}


@pytest.mark.parametrize("measure", ["makespan", "period", "peak_memory"])
def test_a_named_heuristic_is_planned_and_unmerged_for_every_measure(measure):
    problem = graph(measure=measure)
    found, sizes = merged_sizes(problem, merging="combined", merging_cap=25.0)
    assert sizes == {merge(problem, "combined", cap=25.0).n_macros}
    assert validate(problem, found.schedule) == []
    assert len(found.schedule.start) == problem.graph.n_operators
    assert found.lower_bound > 0


def test_a_plan_of_the_merged_graph_is_offered_as_one_of_the_original():
    problem = graph()
    state = new_state(
        problem, Options(time_limit=60, merging="combined", merging_cap=30.0), None, None
    )
    large.search_merged_by(state, makespan.offer_list_schedules)
    macros = merge(problem, "combined", cap=30.0).n_macros
    assert macros < problem.graph.n_operators
    assert state.found_by.endswith(f"on {macros} merged operators")
    assert validate(problem, state.schedule) == []


def test_a_cap_of_nothing_leaves_the_graph_as_it_is():
    state = new_state(graph(), Options(merging="combined", merging_cap=0.0), None, None)
    large.search_merged_by(state, lambda inner: pytest.fail("nothing was merged"))
    assert state.schedule is None


def test_placed_pipelines_can_be_merged_too():
    problem = pipeline(2, 3)
    found, sizes = merged_sizes(problem, merging="levels", merging_cap=2.0)
    assert found.status == "optimal"
    assert validate(problem, found.schedule) == []
    assert all(size < problem.graph.n_operators for size in sizes)


@pytest.mark.parametrize(("merging", "merges"), [("automatic", True), ("none", False)])
def test_none_keeps_large_graphs_as_they_are(merging, merges, monkeypatch):
    called = []
    monkeypatch.setattr(makespan, "search_merged", lambda state, search: called.append(state))
    monkeypatch.setattr(makespan, "is_worth_merging", lambda problem: True)
    monkeypatch.setattr(makespan, "BRANCHED_OPERATORS", 0)
    plan(graph(50), Options(time_limit=1.5, merging=merging))
    assert bool(called) is merges


@pytest.mark.parametrize(("merging", "looks"), [("automatic", True), ("none", False)])
def test_none_searches_no_merged_cells(merging, looks, monkeypatch):
    looked = []
    monkeypatch.setattr(stages, "_offer_experts", lambda *_: None)
    monkeypatch.setattr(stages, "_rivals", lambda state, *_: looked.append(state) or ())
    monkeypatch.setattr(stages, "_improve_order", lambda state, deadline: None)
    problem = training(graph(), micro_batches=4)
    state = new_state(problem, Options(merging=merging), None, None)
    stages.search_stages(state, makespan.search_makespan)
    assert bool(looked) is looks


@pytest.mark.parametrize("record", [Options, Settings])
@pytest.mark.parametrize(
    ("merging", "cap", "words"),
    [
        ("magic", None, "no merging 'magic'; use one of automatic, none, chains"),
        ("chains", -1.0, "cap is -1"),
        ("chains", float("nan"), "cap is nan"),
        ("chains", float("inf"), "finite"),
        ("none", 3.0, "'none' takes no cap"),
    ],
)
def test_impossible_levels_are_refused_in_a_sentence(record, merging, cap, words):
    with pytest.raises(InputError, match=words):
        record(merging=merging, merging_cap=cap)
