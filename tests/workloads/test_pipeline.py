"""Pipelines: placements, costs, memory, weights, and what is refused."""

import numpy as np
import pytest

from planner_core.problem import KINDS, InputError
from planner_core.workloads import PLACEMENTS, pipeline, stage_devices


def test_placements():
    assert stage_devices("linear", 3) == [[0, 1, 2]]
    assert stage_devices("interleaved", 2, 3) == [[0, 1, 0, 1, 0, 1]]
    assert stage_devices("v", 3) == [[0, 1, 2, 2, 1, 0]]
    assert stage_devices("bidirectional", 3) == [[0, 1, 2], [2, 1, 0]]


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_operators_sit_on_the_devices_of_their_stages(placement):
    problem = pipeline(4, 6, placement)
    graph = problem.graph
    directions = stage_devices(placement, 4)
    n_stages = len(directions[0])
    assert graph.n_operators == 3 * n_stages * 6
    assert problem.is_placed
    for o, k in enumerate(problem.fixed_device):
        direction = directions[0 if len(directions) == 1 or graph.micro_batch[o] < 3 else 1]
        assert direction[graph.stage[o]] == k


def test_dependencies_of_one_micro_batch():
    problem = pipeline(2, 1, released_by_input=0.25, activation=8)
    graph = problem.graph
    names = graph.operator_ids
    edges = {
        (names[a], names[b]): float(graph.size[t])
        for t, a, b in zip(graph.edge_tensor, graph.edge_source, graph.edge_target, strict=True)
    }
    assert edges == {
        ("F0", "F1"): 0,
        ("I1", "I0"): 0,
        ("F0", "I0"): 2,
        ("F0", "W0"): 6,
        ("F1", "I1"): 2,
        ("F1", "W1"): 6,
        ("I0", "W0"): 0,
        ("I1", "W1"): 0,
    }


def test_a_fused_backward_frees_everything():
    graph = pipeline(2, 1, backward=3, activation=8).graph
    assert [KINDS[k] for k in graph.kind] == ["forward", "backward"] * 2
    assert sorted(graph.size.tolist()) == [0, 0, 8, 8]


def test_weights_are_shared_by_micro_batches_and_by_both_directions():
    graph = pipeline(2, 4, "bidirectional", weights=[5, 7]).graph
    assert graph.group_size.tolist() == [5, 7]
    used = [graph.groups_of(o).tolist() for o in range(graph.n_operators)]
    assert used == [[s] for s in graph.stage.tolist()]


def test_units_tell_how_memory_is_counted():
    assert pipeline(2, 1).memory_unit == "activations"
    assert pipeline(2, 1, activation=100).memory_unit == "MiB"
    assert pipeline(2, 1, memory=[3, 4]).cluster.memory.tolist() == [3, 4]
    assert np.isinf(pipeline(2, 1).cluster.memory).all()


def test_an_odd_micro_batch_goes_down():
    graph = pipeline(2, 3, "bidirectional").graph
    first = [graph.device_sets[graph.device_set[graph.operator_index[f"F0@{i}"]]] for i in range(3)]
    assert first == [("gpu0",), ("gpu0",), ("gpu1",)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"devices": 0}, "devices is 0; it must be 1 or more"),
        ({"micro_batches": -1}, "micro_batches is -1; it must be 1 or more"),
        ({"placement": "zigzag"}, "placement is 'zigzag'; it must be one of linear"),
        ({"placement": "interleaved", "chunks": 0}, "chunks is 0; it must be 1 or more"),
        ({"forward": [1, 2]}, r"forward has 2 values; give one, or one per stage \(3\)"),
        ({"memory": [1, 2]}, r"memory has 2 values; give one, or one per device \(3\)"),
        ({"backward_weight": -1}, "backward_weight must be finite numbers, 0 or more"),
        ({"activation": float("nan")}, "activation must be finite numbers"),
        ({"released_by_input": 1.1}, "released_by_input is a share"),
        ({"transfer": -1}, "has latency -1; use 0 or more"),
        ({"transfer": float("inf")}, "the default link has latency inf"),
        ({"micro_batches": 10**8}, "at most 10000000 are supported"),
        ({"devices": 5000}, "the cluster has 5000 devices; at most 1024"),
    ],
)
def test_messages(arguments, message):
    with pytest.raises(InputError, match=message):
        pipeline(**{"devices": 3, "micro_batches": 2, **arguments})
