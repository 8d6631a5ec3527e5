"""The builder costs what it is told, and a plain graph is given the stated assumptions."""

import numpy as np
import pytest

from planner_core.problem import InputError, Problem, build_cluster, build_graph
from planner_core.problem.clusters import homogeneous, mixed
from planner_core.problem.forward import Forward, ForwardBuilder
from planner_core.problem.hardware import MIB, CostModel

COST = CostModel(compute_efficiency=1, memory_efficiency=1, launch_overhead=0)


def builder(cluster=None):
    return ForwardBuilder(cluster or homogeneous(2), COST)


def test_bytes_are_inputs_outputs_and_weights_unless_given():
    made = builder()
    made.add("a", (), 1e6)
    made.add("b", ["a", "a"], 2e6, parameters={"w": 1e6})
    made.add("c", ["b"], 0.0, moved=7e6)
    made.add("d", ["b"], 0.0, duration=1.25)
    forward = made.build("net")
    # H100: 3.35 TB/s. The same input twice is read once, a parameter takes two bytes.
    traffic = np.array([1e6, 1e6 + 2e6 + 2e6, 7e6]) / 3.35e12 * 1e3
    assert forward.problem.template.duration[:3] == pytest.approx(traffic)
    assert forward.problem.template.duration[3] == 1.25
    assert forward.problem.template.group_size[0] * MIB == pytest.approx(2e6)


def test_arithmetic_counts_where_it_is_longer():
    made = builder(mixed({"A100": 1, "H100": 1}))
    made.add("a", (), 8.0, flops=312e9)
    assert made.build("net").problem.durations[0].tolist() == pytest.approx([1.0, 312 / 989.4])


def test_tensors_have_several_consumers_and_the_last_are_outputs():
    made = builder()
    made.add("a", (), {"x": MIB, "y": 2 * MIB})
    made.add("b", ["x"])
    made.add("c", ["x", "y"], MIB)
    graph = made.build("net").problem.template
    assert graph.tensor_ids.tolist() == ["x", "y", "b", "c"]
    assert graph.size.tolist() == [1, 2, 0, 1]
    assert graph.consumers_of(0).tolist() == [1, 2]
    assert graph.is_output.tolist() == [False, False, True, True]


def test_shared_weights_are_one_group():
    made = builder()
    made.add("a", (), 1.0, parameters={"w": 10})
    made.add("b", ["a"], 1.0, parameters={"w": 10})
    assert made.build("net").problem.template.n_groups == 1


def plain(**changes):
    operators = [
        {"id": "a", "duration": 1.0, "parameters": ["w"], "stage": 2},
        {"id": "b", "duration": 1.0},
        {"id": "c", "duration": 1.0, "kind": "all_reduce", "stream": "network"},
        {"id": "d", "duration": 1.0, **changes},
    ]
    tensors = [
        {"id": "t", "producer": "a", "consumers": ["d", "c", "b"], "size": 4.0},
        {"id": "u", "producer": "b", "consumers": ["d"], "size": 3.0},
    ]
    graph = build_graph(operators, tensors, [{"id": "w"}])
    return Problem(template=graph, cluster=build_cluster([{"id": "g"}]))


def test_assumptions_about_a_plain_graph():
    forward = Forward.of(plain(), 2.0, 0.5)
    assert forward.backward_input.tolist() == [2, 2, 1, 2]
    assert forward.backward_weight.tolist() == [0.5, 0, 0, 0]
    # b, which runs first, saves t for all; exchanges save nothing.
    assert forward.saved_input.tolist() == [0, 4, 0, 3]
    assert forward.block.tolist() == ["stage 2", "", "", ""]


def test_a_backward_pass_is_no_forward_graph():
    with pytest.raises(InputError, match="'d' is of a backward pass already"):
        Forward.of(plain(kind="backward"))
