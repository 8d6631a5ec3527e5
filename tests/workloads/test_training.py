"""A training graph has the right operators, memory and order whatever forward graph it is from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_core.problem import KIND_CODE, InputError, Problem, build_cluster, build_graph
from planner_core.problem.forward import Forward
from planner_core.problem.pipeline import PipelineView
from planner_core.workloads import random_layered, training, transformer, unet

CLUSTER = build_cluster([{"id": "a"}, {"id": "b"}])


def chain(**changes):
    """Return x → y → z; only y has weights, so that x needs no backward at all."""
    operators = [
        {"id": name, "duration": d, "kind": "forward", "stage": s, **changes.get(name, {})}
        for name, d, s in (("x", 1.0, 0), ("y", 2.0, 0), ("z", 3.0, 1))
    ]
    operators[1].setdefault("parameters", ["w"])
    tensors = [
        {"id": "tx", "producer": "x", "consumers": ["y"], "size": 5.0},
        {"id": "ty", "producer": "y", "consumers": ["z"], "size": 7.0},
    ]
    graph = build_graph(operators, tensors, [{"id": "w", "size": 10.0}])
    return Problem(template=graph, cluster=CLUSTER)


def edges(problem):
    graph = problem.template
    return {
        (graph.operator_ids[a], graph.operator_ids[b], float(graph.size[t]))
        for t, a, b in zip(graph.edge_tensor, graph.edge_source, graph.edge_target, strict=True)
    }


def durations(problem):
    graph = problem.template
    return dict(zip(graph.operator_ids.tolist(), graph.duration.tolist(), strict=True))


def test_only_what_needs_a_gradient_gets_a_backward():
    made = training(chain())
    assert durations(made) == {"x": 1, "y": 2, "z": 3, "z:I": 3, "y:W": 2}
    assert edges(made) == {
        ("x", "y", 5.0),
        ("y", "z", 7.0),
        ("z:I", "y:W", 7.0),  # the gradient of ty
        ("z", "z:I", 7.0),  # z has no weights: its input gradient needs what it read
        ("y", "y:W", 5.0),  # y's weight gradient needs what y read
    }


def test_fused_backward_takes_both_parts_and_holds_both():
    forward = Forward.of(chain(x={"parameters": ["w"]}), 1.5, 0.5)
    made = training(forward, split_backward=False)
    assert durations(made)["y:B"] == pytest.approx(4.0)
    assert durations(made)["x:B"] == pytest.approx(0.5)
    assert ("y", "y:B", 5.0) in edges(made)


def test_stage_devices_groups_and_colocation_follow_the_forward_operator():
    made = training(chain(y={"devices": ["b"], "stage": 4, "parameters": ["w"]}), state_factor=3)
    graph = made.template
    y, w = graph.operator_index["y"], graph.operator_index["y:W"]
    assert graph.stage[w] == 4
    assert graph.device_sets[graph.device_set[w]] == ("b",)
    assert graph.colocation[w] == graph.colocation[y] >= 0
    assert graph.groups_of(w).tolist() == graph.groups_of(y).tolist() == [0]
    assert graph.group_size.tolist() == [30.0]
    assert made.template.kind[w] == KIND_CODE["backward_weight"]


def test_durations_per_type_and_fixed_transfers_carry_over():
    operators = [
        {"id": "x", "duration": {"H": 1.0, "A": 2.0}, "parameters": ["w"]},
        {"id": "y", "duration": {"H": 3.0, "A": 5.0}},
    ]
    tensors = [{"id": "t", "producer": "x", "consumers": ["y"], "transfer": 0.25}]
    cluster = build_cluster([{"id": "a", "type": "H"}, {"id": "b", "type": "A"}])
    graph = build_graph(operators, tensors, [{"id": "w"}])
    made = training(Forward.of(Problem(template=graph, cluster=cluster), 2.0)).template
    assert made.duration_by_type[made.operator_index["y:I"]].tolist() == [6.0, 10.0]
    gradient = made.tensor_index["t:gradient of y"]
    assert made.transfer[gradient] == 0.25


def test_a_graph_without_weights_gets_an_input_part_everywhere():
    made = training(chain(y={"parameters": []}))
    assert {"x:I", "y:I", "z:I"} < set(durations(made))


def test_recomputation_saves_only_the_inputs_of_a_block():
    blocks = {"y": "b", "z": "b"}
    made = training(chain(x={"parameters": ["w"]}), recompute=blocks)
    # y reads x's tensor again, z reads y's; neither forward operator saves anything.
    assert {("x", "y:R", 5.0), ("y:R", "z:R", 7.0), ("z:R", "z:I", 7.0)} <= edges(made)
    assert not any(a in ("y", "z") and b.endswith((":I", ":W")) for a, b, _ in edges(made))
    # Nothing follows z: the block may run again once z has finished.
    assert ("z", "y:R", 0.0) in edges(made)


def test_recomputation_waits_for_the_gradient():
    made = training(chain(x={"parameters": ["w"]}), recompute={"x": "b", "y": "b"})
    assert ("z:I", "y:R", 0.0) in edges(made) or ("z:I", "x:R", 0.0) in edges(made)


def test_a_block_that_a_path_leaves_and_enters_again_is_refused():
    with pytest.raises(InputError, match="left and entered again"):
        training(chain(x={"parameters": ["w"]}), recompute={"x": "b", "z": "b"})


def test_refuses_a_backward_pass_unknown_operators_and_missing_blocks():
    with pytest.raises(InputError, match="'y' is of a backward pass already"):
        training(chain(y={"kind": "backward_input"}))
    with pytest.raises(InputError, match="recompute names operator 'q'"):
        training(chain(), recompute={"q": "b"})
    with pytest.raises(InputError, match="names no blocks"):
        training(random_layered(5, seed=1), recompute=True)
    with pytest.raises(InputError, match="state_factor"):
        training(chain(), state_factor=-1)


@pytest.mark.parametrize("how", [{}, {"recompute": True}, {"split_backward": False}])
def test_staged_training_graphs_are_pipelines(how):
    forward = transformer(4, 64, 4, 32, 100, stages=4, micro_batches=3, experts=4)
    view = PipelineView.of(training(forward, **how))
    assert (view.n_stages, view.n_micro_batches) == (4, 3)


def test_recomputation_of_a_unet_is_acyclic_although_skips_cross_blocks():
    made = training(unet(2, channels=4, resolution=16), recompute=True)
    assert made.template.find_cycle() is None


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 30),
    seed=st.integers(0, 10**6),
    weight=st.sampled_from([0.0, 3.0]),
    split=st.booleans(),
    reach=st.integers(1, 3),
)
def test_work_and_saved_memory_of_any_graph(n, seed, weight, split, reach):
    problem = random_layered(n, seed=seed, kind="forward", weight=(weight / 2, weight), reach=reach)
    forward = Forward.of(problem, 1.0, 0.5)
    made = training(forward, split_backward=split, state_factor=8)
    graph = made.template
    assert graph.find_cycle() is None
    assert graph.n_groups == problem.template.n_groups
    assert graph.group_size.sum() == pytest.approx(8 * problem.template.group_size.sum())
    saved = np.array([str(name).endswith(":saved") for name in graph.tensor_ids], dtype=bool)
    # Each tensor is saved once, by its first consumer.
    assert graph.size[saved].sum() == pytest.approx(problem.template.size.sum())
    has_producer = np.isin(np.arange(n), problem.template.edge_target) | (weight == 0)
    expected = problem.template.duration * (
        1 + has_producer * forward.backward_input + forward.backward_weight
    )
    assert graph.duration.sum() == pytest.approx(expected.sum())


@settings(max_examples=40, deadline=None)
@given(n=st.integers(2, 25), seed=st.integers(0, 10**6), cut=st.integers(1, 4))
def test_recomputing_runs_of_the_topological_order_never_makes_a_cycle(n, seed, cut):
    problem = random_layered(n, seed=seed, kind="forward", weight=(1, 2), size=(1, 2))
    order = problem.template.topological_order
    names = problem.template.operator_ids
    # A run of a topological order is convex: no path can leave it and come back.
    blocks = {str(names[o]): f"b{i // cut}" for i, o in enumerate(order)}
    made = training(problem, recompute=blocks)
    saving = {
        made.template.operator_ids[made.template.producer[t]]
        for t in range(made.template.n_tensors)
        if str(made.template.tensor_ids[t]).endswith(":saved") and made.template.size[t] > 0
    }
    assert all(name.endswith(":R") for name in saving)
