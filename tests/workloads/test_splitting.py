"""Splitting the operators of a training graph divides work and memory and keeps the order."""

import pytest

from planner_core.problem import InputError
from planner_core.problem.clusters import homogeneous
from planner_core.problem.hardware import CostModel
from planner_core.workloads import pipeline, tensor_parallel, training, transformer


def case():
    forward = transformer(1, 64, 4, 32, 100, cluster=homogeneous(4))
    return tensor_parallel(training(forward), (1, 2))


def total(graph, name):
    return sum(
        time
        for o, time in zip(graph.operator_ids, graph.duration, strict=True)
        if o.split("/")[0] == name and not o.endswith(":sync")
    )


def test_only_operators_with_weights_may_be_split():
    split = case()
    names = set(split.alternatives)
    assert {"embedding", "layer0.ffn.up", "layer0.ffn.up:I", "layer0.ffn.up:W"} <= names
    assert not any("norm" in name or "attention.attention" in name for name in names)


def test_all_in_two_halves():
    split = case()
    whole = split.problem.template
    problem = split.expand(dict.fromkeys(split.alternatives, "×2"))
    graph = problem.template
    assert graph.find_cycle() is None
    for name in split.alternatives:
        assert total(graph, name) == pytest.approx(total(whole, name))
    # Every group is divided, and its shards are shared by forward and backward parts.
    assert graph.group_size.sum() == pytest.approx(whole.group_size.sum())
    assert graph.n_groups == 2 * whole.n_groups


def test_exchanges_complete_results_but_not_weight_gradients():
    split = case()
    up = {w.id: w for w in split.alternatives["layer0.ffn.up"]}
    output = 2 * 32 * 256  # BF16, tokens × 4 hidden
    assert up["×1"].collective == 0
    assert up["×2"].collective == pytest.approx(
        CostModel().all_reduce_milliseconds(output, 2, "NVLink 4")
    )
    assert all(w.collective == 0 for w in split.alternatives["layer0.ffn.up:W"])


def test_wrong_requests_are_refused():
    with pytest.raises(InputError, match="degree 8"):
        tensor_parallel(case().problem, (1, 8))
    with pytest.raises(InputError, match="ms and MiB only"):
        tensor_parallel(pipeline(2, 2))
