"""Merging: never a cycle, nothing lost, and every merged plan is a plan of the original."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from planner_core.baselines.list_scheduling import heft
from planner_core.merging.upper_level import METHODS, merge
from planner_core.problem import (
    InputError,
    NotApplicable,
    Problem,
    build_cluster,
    build_graph,
    check_problem,
)
from planner_core.schedule import memory_profiles, simulate, validate
from planner_core.workloads.random_graphs import random_layered
from tests.strategies import orders, placements, problems

CAPS = st.sampled_from([0.0, 2.0, 6.0, 20.0, 1e9])


def merged_once(data, **kinds):
    problem = data.draw(problems(max_operators=12, **kinds))
    method = data.draw(st.sampled_from(sorted(METHODS)))
    return problem, merge(problem, method, cap=data.draw(CAPS))


def scheduled_merged(data, merged):
    """A schedule of the merged problem, any placement and order."""
    device = data.draw(placements(merged.problem))
    return simulate(merged.problem, device, data.draw(orders(merged.problem, device)))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_never_a_cycle_and_nothing_lost(data):
    problem, merged = merged_once(data)
    check_problem(merged.problem)  # refuses cycles and operators that no device may run
    small, full = merged.problem, problem.graph
    assert small.graph.n_operators == merged.n_macros <= full.n_operators
    together = np.zeros((merged.n_macros, problem.n_devices))
    np.add.at(together, merged.macro, problem.durations)
    assert small.durations == pytest.approx(together)
    used = {
        (int(merged.macro[o]), int(g)) for o in range(full.n_operators) for g in full.groups_of(o)
    }
    kept = {(m, int(g)) for m in range(merged.n_macros) for g in small.graph.groups_of(m)}
    assert used == kept
    edges = zip(merged.macro[full.edge_source], merged.macro[full.edge_target], strict=True)
    needed = {(int(a), int(b)) for a, b in edges if a != b}
    arcs = zip(small.graph.edge_source, small.graph.edge_target, strict=True)
    assert {(int(a), int(b)) for a, b in arcs} == needed


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_only_what_belongs_together_is_merged(data):
    problem, merged = merged_once(data)
    graph, allowed = problem.graph, np.isfinite(problem.durations)
    for m in range(merged.n_macros):
        members = np.flatnonzero(merged.macro == m)
        assert len(set(graph.stream[members].tolist())) == 1
        assert len(set(graph.micro_batch[members].tolist())) == 1
        if np.all(graph.colocation[members] < 0):
            assert len({tuple(row) for row in allowed[members].tolist()}) == 1
        if len(members) > 1:
            assert problem.durations[members].min(axis=1).sum() <= merged.cap + 1e-9


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_unmerged_plans_are_valid_and_no_later(data):
    problem, merged = merged_once(data, limited=False, exclusive=False, staged=False)
    schedule = scheduled_merged(data, merged)
    assert validate(merged.problem, schedule) == []
    plan = merged.unmerge(schedule)
    assert validate(problem, plan) == []
    assert plan.makespan <= schedule.makespan + 1e-9 * max(1.0, schedule.makespan)
    assert np.array_equal(plan.device, schedule.device[merged.macro])


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_unmerged_plans_keep_every_rule_of_any_cluster(data):
    problem, merged = merged_once(data)
    schedule = scheduled_merged(data, merged)
    assume(not validate(merged.problem, schedule))
    try:
        plan = merged.unmerge(schedule)
    except NotApplicable:
        assert np.isfinite(problem.cluster.memory).any()
        return
    assert validate(problem, plan) == []


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_macro_operator_asks_for_the_memory_its_operators_take(data):
    """On one device, run macro by macro: the original never takes more than the merged plan."""
    problem, merged = merged_once(data, max_devices=1, limited=False, streams=False)
    schedule = scheduled_merged(data, merged)
    plan = merged.unmerge(schedule)
    peak = memory_profiles(problem, plan)[0].peak
    assert peak <= memory_profiles(merged.problem, schedule)[0].peak + 1e-6


def chain_and_fork() -> Problem:
    names = "abcdef"
    tensors = [("a", "b"), ("b", "c"), ("c", "d"), ("c", "e"), ("d", "f"), ("e", "f")]
    return Problem(
        template=build_graph(
            [{"id": name, "duration": 1} for name in names],
            [{"id": a + b, "producer": a, "consumers": [b], "size": 1} for a, b in tensors],
        ),
        cluster=build_cluster([{"id": "d0"}, {"id": "d1"}]),
    )


@pytest.mark.parametrize(
    ("method", "macros"),
    [
        ("chains", ["abc", "d", "e", "f"]),
        ("producers", ["abcde", "f"]),
        ("consumers", ["abc", "def"]),
        ("siblings", ["a", "b", "c", "de", "f"]),
        ("levels", ["a", "b", "c", "de", "f"]),
        ("stages", ["abcde", "f"]),
        ("combined", ["abcde", "f"]),
    ],
)
def test_what_each_heuristic_merges(method, macros):
    merged = merge(chain_and_fork(), method, cap=5.0)
    found = [
        "".join("abcdef"[o] for o in np.flatnonzero(merged.macro == m))
        for m in range(merged.n_macros)
    ]
    assert sorted(found) == macros


def test_the_heaviest_edges_disappear():
    merged = merge(random_layered(300, 2, seed=3), "heavy edges", cap=12.0)
    graph = merged.original.graph
    inside = merged.macro[graph.edge_source] == merged.macro[graph.edge_target]
    weight = graph.size[graph.edge_tensor]
    assert inside.any()
    assert weight[inside].mean() > weight[~inside].mean()


def test_the_cap_bounds_work_and_keeps_parallelism():
    problem = random_layered(2_000, 4, seed=5)
    small, large = (merge(problem, cap_share=share) for share in (0.002, 0.02))
    assert large.n_macros < small.n_macros < problem.graph.n_operators
    best = heft(problem).makespan
    assert small.unmerge(heft(small.problem)).makespan < 1.1 * best


def test_colocation_groups_unite_but_stay_small():
    operators = [
        {"id": f"{kind}{i}", "duration": 1, "colocate": f"g{i}"} for kind in "fb" for i in range(40)
    ]
    chain = [f"f{i}" for i in range(40)] + [f"b{i}" for i in reversed(range(40))]
    tensors = [
        {"id": f"t{a}", "producer": a, "consumers": [b], "size": 1} for a, b in pairwise(chain)
    ]
    problem = Problem(
        template=build_graph(operators, tensors),
        cluster=build_cluster([{"id": "d0"}, {"id": "d1"}]),
    )
    merged = merge(problem, cap=4.0)
    check_problem(merged.problem)
    assert merged.n_macros <= 40
    work = np.bincount(merged.colocation[merged.macro])
    assert work.max() <= 16
    assert validate(problem, merged.unmerge(heft(merged.problem))) == []


@pytest.mark.parametrize("settings", [{"method": "magic"}, {"cap": -1.0}, {"cap": float("nan")}])
def test_settings_out_of_range(settings):
    with pytest.raises(InputError):
        merge(chain_and_fork(), **settings)
