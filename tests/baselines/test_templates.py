"""Quick templates: feasible for any placed pipeline, good where a rule is known."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_core.baselines import templates
from planner_core.problem import Problem, build_cluster, build_graph
from planner_core.schedule import validate
from planner_core.workloads.pipeline import pipeline


def best(problem):
    return min(schedule.makespan for _, schedule in templates(problem))


@given(
    placement=st.sampled_from(["linear", "interleaved", "v", "bidirectional"]),
    p=st.integers(1, 4),
    m=st.integers(1, 6),
    memory=st.one_of(st.none(), st.integers(2, 10)),
    released=st.sampled_from([0.0, 0.4, 1.0]),
    costs=st.tuples(*[st.floats(0.1, 5.0)] * 3),
    transfer=st.sampled_from([0.0, 0.6]),
)
@settings(max_examples=60, deadline=None)
def test_every_template_is_feasible_however_tight_the_memory(
    placement, p, m, memory, released, costs, transfer
):
    problem = pipeline(
        p,
        m,
        placement,
        memory=memory,
        released_by_input=released,
        forward=costs[0],
        backward_input=costs[1],
        backward_weight=costs[2],
        transfer=transfer,
    )
    found = list(templates(problem))
    assert found  # one micro-batch at a time always fits here
    for _, schedule in found:
        assert not validate(problem, schedule)


@pytest.mark.parametrize(("memory", "expected"), [(8, 67), (16, 67)])
def test_linear_templates_reach_zero_bubble(memory, expected):
    assert best(pipeline(8, 20, memory=memory)) == expected


def test_profiled_costs_are_within_the_zero_bubble_authors_greedy():
    costs = {"forward": 18522, "backward_input": 18086, "backward_weight": 9337}
    from planner_core.baselines import run_baseline

    for memory in (8, 16):
        problem = pipeline(8, 24, transfer=601, memory=memory, **costs)
        published = run_baseline("zb-greedy", problem).schedule.makespan
        assert best(problem) <= published * (1 + 1e-9)


@pytest.mark.parametrize(("memory", "expected"), [(8, 63), (7, 64), (6, 65), (5, 66)])
def test_building_blocks_meet_the_proved_optimum_of_bidirectional_pipelines(memory, expected):
    problem = pipeline(8, 20, "bidirectional", memory=memory, released_by_input=1)
    assert best(problem) == expected


@pytest.mark.parametrize(("memory", "expected"), [(16, 127), (14, 129), (12, 131)])
def test_building_blocks_meet_the_proved_optimum_of_v_pipelines(memory, expected):
    assert best(pipeline(8, 20, "v", memory=memory)) == expected


def test_filling_gaps_pays_with_unequal_costs():
    problem = pipeline(
        8,
        20,
        "bidirectional",
        forward=5,
        backward_input=6,
        backward_weight=4,
        memory=9,
    )
    found = {name: schedule.makespan for name, schedule in templates(problem)}
    assert found["building block 4-2, gaps filled"] < found["building block 4-2"]


def test_problems_that_are_not_placed_pipelines_have_no_templates():
    unplaced = Problem(
        template=build_graph([{"id": "x", "duration": 1}]),
        cluster=build_cluster([{"id": "a"}, {"id": "b"}]),
    )
    assert list(templates(unplaced)) == []
    no_stages = Problem(
        template=build_graph([{"id": "x", "duration": 1, "devices": ["a"]}]),
        cluster=build_cluster([{"id": "a"}]),
    )
    assert list(templates(no_stages)) == []
