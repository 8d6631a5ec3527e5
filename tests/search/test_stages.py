import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_core.baselines import PIPELINE_BASELINES, run_baseline
from planner_core.baselines.list_scheduling import heft
from planner_core.problem import Cluster, NotApplicable, PlannerError, Problem
from planner_core.schedule import validate
from planner_core.search import Cancellation, Options, plan
from planner_core.search.experts import available_experts, rank_orders, run_expert
from planner_core.search.makespan import search_makespan
from planner_core.search.stages import has_stages, search_stages
from planner_core.search.state import Clock, SearchState
from planner_core.workloads import pipeline, random_layered, training


def bare(problem: Problem) -> Problem:
    """Return a placed pipeline without its stages and devices."""
    nowhere = np.full(problem.template.n_operators, -1, dtype=np.int32)
    return replace(problem, template=replace(problem.template, stage=nowhere, device_set=nowhere))


def best_expert(problem: Problem) -> float:
    values = [heft(problem).makespan]
    for baseline in PIPELINE_BASELINES:
        try:
            result = run_expert(baseline.name, problem)
        except PlannerError:
            continue
        if result.fits:
            values.append(result.schedule.makespan)
    return min(values)


@pytest.mark.parametrize(
    ("name", "makespan"), [("1f1b", 33.0), ("zb-h1", 27.0), ("zb-1p", 27.0), ("heft", None)]
)
def test_experts_reach_their_golden_numbers_on_derived_stages(name, makespan):
    result = run_expert(name, bare(pipeline(4, 8)))
    assert result.fits
    if makespan is not None:
        assert result.schedule.makespan == pytest.approx(makespan)


@pytest.mark.parametrize(("name", "makespan"), [("dualpipe", 66.0), ("dualpipe-sequential", 63.0)])
def test_dualpipe_on_derived_stages(name, makespan):
    result = run_expert(name, bare(pipeline(8, 20, "bidirectional")))
    assert result.schedule.makespan == pytest.approx(makespan)


def test_a_placement_that_colocation_forbids_is_a_comparison_only():
    problem = training(random_layered(12, 2, seed=1), micro_batches=4)
    result = run_expert("dualpipe-sequential", problem)
    assert result.own_placement
    assert not result.fits
    assert "colocation" in result.reason


def test_settings_choose_the_number_of_stages():
    problem = bare(pipeline(2, 4, "interleaved", chunks=3))
    result = run_expert("interleaved-1f1b", problem, chunks=3)
    assert result.problem.template.stage.max() == 5
    assert run_expert("hanayo", bare(pipeline(2, 4, "wave", chunks=4)), waves=2).fits


def test_stages_of_the_user_are_kept():
    problem = pipeline(3, 6)
    assert run_expert("1f1b", problem).problem is problem
    with pytest.raises(NotApplicable):
        run_expert("zb-v", problem)


def test_unlike_devices_are_tried_in_several_orders():
    cluster = replace(Cluster.uniform(3), speed=np.array([1.0, 3.0, 2.0]))
    problem = replace(bare(pipeline(3, 4)), cluster=cluster)
    assert rank_orders(problem) == [[0, 1, 2], [1, 2, 0], [0, 2, 1]]
    assert rank_orders(bare(pipeline(3, 4))) == [[0, 1, 2]]


def test_available_experts_say_what_is_missing():
    reasons = {name: reason for name, _, reason in available_experts(bare(pipeline(4, 8)))}
    assert reasons["1f1b"] is None
    assert reasons["heft"] is None
    assert "ask for fewer" in reasons["zb-v"]  # four operators, eight stages
    forward_only = {n: r for n, _, r in available_experts(random_layered(8, 2, seed=0))}
    assert forward_only["1f1b"] is not None


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (bare(pipeline(2, 4)), True),
        (bare(pipeline(2, 4, "bidirectional")), True),
        (bare(pipeline(2, 1)), True),
        (bare(pipeline(1, 4)), False),
        (pipeline(2, 4), False),
        (replace(random_layered(8, 2, seed=0), micro_batches=4), False),
    ],
)
def test_which_problems_stages_are_derived_for(problem, expected):
    assert has_stages(problem) is expected


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 999), st.integers(2, 3), st.integers(2, 4), st.booleans())
def test_never_worse_than_the_best_expert_schedule(seed, devices, micro_batches, colocate):
    forward = random_layered(10, devices, seed=seed)
    problem = training(forward, micro_batches=micro_batches, colocate=colocate)
    now = time.monotonic()
    state = SearchState(problem, "makespan", Clock(now, now + 600), Cancellation())

    def leave(inner: SearchState) -> None:
        inner.cancel.set()  # shared: the search is over at the first partition

    search_stages(state, leave)
    experts = [
        result.schedule.makespan
        for baseline in PIPELINE_BASELINES
        if (result := _run(baseline.name, problem)) is not None and result.fits
    ]
    assert state.value <= min(experts)
    assert not validate(problem, state.schedule)


def _run(name, problem):
    try:
        return run_expert(name, problem)
    except PlannerError:
        return None


def test_cells_are_searched_and_expanded():
    problem = training(random_layered(12, 2, seed=3), micro_batches=4)
    now = time.monotonic()
    state = SearchState(problem, "makespan", Clock(now, now + 3.0), Cancellation())
    search_stages(state, search_makespan)
    assert state.schedule is not None
    assert not validate(problem, state.schedule)
    assert state.value <= best_expert(problem)


def test_plan_of_a_training_graph_beats_every_expert():
    problem = training(random_layered(10, 2, seed=5), micro_batches=4)
    result = plan(problem, Options(time_limit=4.0))
    assert result.value <= best_expert(problem)
    assert result.value <= run_baseline("heft", problem).schedule.makespan
