from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_core.merging import derived_stages, ideals
from planner_core.problem import (
    Cluster,
    InputError,
    NotApplicable,
    Problem,
    build_graph,
    check_problem,
)
from planner_core.problem.pipeline import PipelineView
from planner_core.workloads import pipeline, training


def forward_problem(durations, edges, cluster, *, weights=0.0, size=1.0):
    operators = [
        {"id": f"o{i}", "duration": float(d), "parameters": [f"w{i}"]}
        for i, d in enumerate(durations)
    ]
    tensors = [
        {"id": f"t{a}-{b}", "producer": f"o{a}", "consumers": [f"o{b}"], "size": size}
        for a, b in edges
    ]
    groups = [{"id": f"w{i}", "size": weights} for i in range(len(durations))]
    return Problem(template=build_graph(operators, tensors, groups), cluster=cluster)


def chain(count, cluster, **settings):
    return forward_problem(
        [1.0] * count, [(i, i + 1) for i in range(count - 1)], cluster, **settings
    )


@st.composite
def training_problems(draw, colocate=True):
    n = draw(st.integers(3, 7))
    durations = draw(st.lists(st.integers(1, 5), min_size=n, max_size=n))
    pairs = [(a, b) for b in range(n) for a in range(b)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=2 * n))
    k = draw(st.integers(2, 3))
    problem = forward_problem(durations, edges, Cluster.uniform(k))
    micro_batches = draw(st.integers(1, 3))
    return (
        training(problem, micro_batches=micro_batches, colocate=colocate),
        durations,
        edges,
        k,
    )


def least_bottleneck(durations, edges, n_stages):
    """Brute force over all assignments that go up the stages."""
    best = np.inf
    for stage in product(range(n_stages), repeat=len(durations)):
        if len(set(stage)) == n_stages and all(stage[a] <= stage[b] for a, b in edges):
            load = np.bincount(stage, durations, minlength=n_stages)
            best = min(best, load.max())
    return best


@settings(deadline=None, max_examples=60)
@given(training_problems())
def test_heaviest_stage_is_as_light_as_brute_force_has_it(drawn):
    problem, durations, edges, k = drawn
    n = len(durations)
    staged = derived_stages(problem)
    check_problem(staged)
    total = np.bincount(
        staged.template.stage, problem.durations[: problem.template.n_operators, 0], minlength=k
    )
    # F, I and W of an operator take the same time here, but the first has no input part.
    passes = [
        problem.durations[
            [
                o
                for o, name in enumerate(problem.template.operator_ids)
                if name.split(":")[0] == f"o{i}"
            ],
            0,
        ].sum()
        for i in range(n)
    ]
    assert total.max() == pytest.approx(least_bottleneck(passes, edges, k))


@settings(deadline=None, max_examples=60)
@given(training_problems(colocate=False), st.sampled_from(["linear", "v", "interleaved", "wave"]))
def test_every_partition_is_a_pipeline_and_keeps_an_operator_together(drawn, placement):
    problem, _, _, k = drawn
    try:
        staged = derived_stages(problem, placement=placement, placed=True)
    except NotApplicable:
        assert placement != "linear"
        return
    view = PipelineView.of(staged)
    assert view.n_stages == (k if placement == "linear" else 2 * k)
    stage = dict(zip(staged.template.operator_ids, staged.template.stage, strict=True))
    assert all(stage[name] == stage[name.split(":")[0]] for name in stage)
    assert staged.is_placed
    assert np.array_equal(staged.graph.operator_ids, problem.graph.operator_ids)


@settings(deadline=None, max_examples=30)
@given(training_problems())
def test_walks_stand_in_for_too_many_ideals(drawn):
    problem, _, _, k = drawn
    least = ideals.MAX_IDEALS
    ideals.MAX_IDEALS = 1
    try:
        staged = derived_stages(replace(problem, name="walks"))
    finally:
        ideals.MAX_IDEALS = least
    assert PipelineView.of(staged).n_stages == k


def test_unlike_devices_get_unequal_stages():
    cluster = replace(Cluster.uniform(2), speed=np.array([1.0, 3.0]))
    staged = derived_stages(chain(12, cluster))
    assert np.bincount(staged.template.stage).tolist() == [3, 9]
    turned = derived_stages(chain(12, cluster), ranks=[1, 0])
    assert np.bincount(turned.template.stage).tolist() == [9, 3]


def test_memory_limits_shift_the_boundary():
    cluster = replace(Cluster.uniform(2), memory=np.array([2.0, 100.0]))
    staged = derived_stages(chain(8, cluster, weights=1.0))
    assert np.bincount(staged.template.stage).tolist() == [2, 6]


def test_slack_buys_a_cheaper_cut():
    problem = chain(6, Cluster.uniform(2, bandwidth=1.0))
    size = np.array([5.0, 0.0, 5.0, 5.0, 5.0])
    problem = replace(problem, template=replace(problem.template, size=size))
    assert np.bincount(derived_stages(problem).template.stage).tolist() == [3, 3]
    assert np.bincount(derived_stages(problem, slack=0.4).template.stage).tolist() == [2, 4]


def test_devices_that_may_not_run_an_operator_do_not_get_it():
    problem = chain(4, Cluster.uniform(2))
    graph = replace(
        problem.template,
        device_set=np.array([-1, 0, 0, 0], dtype=np.int32),
        device_sets=(("gpu1",),),
    )
    staged = derived_stages(replace(problem, template=graph))
    assert staged.template.stage.tolist() == [0, 1, 1, 1]


def test_stages_of_one_device_are_balanced_together():
    durations = [1, 1, 4, 4, 1, 1, 2, 2]
    edges = [(i, i + 1) for i in range(7)]
    problem = forward_problem(durations, edges, Cluster.uniform(2))
    staged = derived_stages(problem, placement="v", placed=True)
    load = np.bincount(staged.fixed_device, durations)
    assert load.max() <= 9


def test_pipeline_of_every_micro_batch_gets_its_stages_back():
    made = pipeline(4, 8, "bidirectional")
    bare = replace(made.template, stage=np.full(made.template.n_operators, -1, dtype=np.int32))
    free = replace(made, template=replace(bare, device_set=np.full_like(bare.stage, -1)))
    staged = derived_stages(free, placement="bidirectional", placed=True)
    assert np.array_equal(staged.graph.stage, made.graph.stage)
    assert np.array_equal(staged.fixed_device, made.fixed_device)


def test_more_stages_than_units_are_refused():
    with pytest.raises(NotApplicable, match="ask for fewer"):
        derived_stages(training(chain(3, Cluster.uniform(4))))


def test_number_of_stages_must_fit_the_placement():
    problem = chain(9, Cluster.uniform(2))
    assert derived_stages(problem, 4).template.stage.max() == 3
    with pytest.raises(InputError, match="multiple of 4"):
        derived_stages(problem, 6, placement="v")


def test_unlike_micro_batches_are_refused():
    operators = [
        {"id": "a0", "duration": 1, "kind": "forward", "micro_batch": 0},
        {"id": "b0", "duration": 1, "kind": "forward", "micro_batch": 0},
        {"id": "a1", "duration": 1, "kind": "forward", "micro_batch": 1},
    ]
    problem = Problem(template=build_graph(operators), cluster=Cluster.uniform(2))
    with pytest.raises(NotApplicable, match="micro-batches differ"):
        derived_stages(problem)
