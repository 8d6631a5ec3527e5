"""The pipeline structure of a problem."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner_core.problem import Cluster, NotApplicable, Problem, build_cluster, build_graph
from planner_core.problem.pipeline import PipelineView
from planner_core.workloads.pipeline import pipeline


def problem_of(operators, tensors=()):
    return Problem(
        template=build_graph(operators, tensors),
        cluster=build_cluster([{"id": "gpu0"}, {"id": "gpu1"}]),
    )


def operator(name, kind, stage=0, micro_batch=0, **more):
    return {
        "id": name,
        "duration": 1.0,
        "kind": kind,
        "stage": stage,
        "micro_batch": micro_batch,
        **more,
    }


def tensor(source, target):
    return {"id": f"{source}-{target}", "producer": source, "consumers": [target]}


@given(
    devices=st.integers(1, 5),
    micro_batches=st.integers(1, 5),
    placement=st.sampled_from(["linear", "interleaved", "v", "bidirectional"]),
    fused=st.booleans(),
)
def test_every_operator_of_a_pipeline_is_in_the_cell_its_name_says(
    devices, micro_batches, placement, fused
):
    problem = pipeline(devices, micro_batches, placement, backward=2.0 if fused else None)
    view = PipelineView.of(problem)
    ids = problem.graph.operator_ids
    assert view.n_micro_batches == micro_batches
    assert view.is_split != fused
    letters = {"F": view.forward, "I": view.backward_input, "W": view.backward_weight}
    if fused:
        letters = {"F": view.forward, "B": view.backward}
    seen = []
    for s in range(view.n_stages):
        for i in range(micro_batches):
            for letter, cell in letters.items():
                (o,) = cell(s, i)
                name = f"{letter}{s}"
                assert ids[o].split("@")[0] == name
                seen.append(o)
    assert sorted(seen) == list(range(problem.graph.n_operators))


def test_a_cell_lists_several_operators_in_topological_order():
    problem = problem_of(
        [
            operator("late", "forward"),
            operator("early", "forward"),
            operator("back", "backward"),
        ],
        [tensor("early", "late"), tensor("late", "back")],
    )
    view = PipelineView.of(problem)
    assert [problem.graph.operator_ids[o] for o in view.forward(0, 0)] == ["early", "late"]


def test_other_kinds_take_the_phase_of_what_feeds_them_or_of_what_they_feed():
    problem = problem_of(
        [
            operator("gather", "all_to_all"),
            operator("F", "forward"),
            operator("dispatch", "all_to_all", stream="network"),
            operator("I", "backward_input"),
            operator("W", "backward_weight"),
            operator("reduce", "all_reduce"),
        ],
        [
            tensor("gather", "F"),
            tensor("F", "dispatch"),
            tensor("dispatch", "I"),
            tensor("I", "W"),
            tensor("W", "reduce"),
        ],
    )
    view = PipelineView.of(problem)
    assert view.forward(0, 0) == (0, 1, 2)
    assert view.backward_weight(0, 0) == (4, 5)


def test_optimizer_steps_and_reductions_without_micro_batch_are_tails():
    problem = problem_of(
        [
            operator("F", "forward"),
            operator("B", "backward"),
            operator("reduce", "all_reduce", micro_batch=None),
            operator("step", "optimizer", micro_batch=None),
        ],
        [tensor("F", "B"), tensor("B", "reduce"), tensor("reduce", "step")],
    )
    view = PipelineView.of(problem)
    assert view.tails == [(2, 3)]
    assert np.array_equal(view.phase[2:], [4, 4])


PAIR = [operator("F", "forward"), operator("B", "backward")]


@pytest.mark.parametrize(
    ("operators", "tensors", "message"),
    [
        ([operator("x", "other", stage=None)], [], "operator 'x' has no stage"),
        (
            [*PAIR, operator("F1", "forward", stage=1)],
            [],
            "stage 1 of micro-batch 0 has no backward",
        ),
        (
            [operator("F", "forward", stage=1), operator("B", "backward", stage=1)],
            [],
            "stage 0 of micro-batch 0 has no forward",
        ),
        (
            [*PAIR, operator("F1", "forward", micro_batch=None)],
            [],
            "operator 'F1' has no micro_batch",
        ),
        ([*PAIR, operator("x", "other")], [], "operator 'x' touches neither"),
        (
            [
                *PAIR,
                operator("F1", "forward", micro_batch=1),
                operator("B1", "backward", micro_batch=1),
            ],
            [tensor("F", "F1")],
            "'F1', in another micro-batch",
        ),
        (
            [*PAIR, operator("F1", "forward", stage=1), operator("B1", "backward", stage=1)],
            [tensor("F1", "F")],
            "'F', in an earlier stage",
        ),
        (
            [*PAIR, operator("F1", "forward", stage=1), operator("B1", "backward", stage=1)],
            [tensor("B", "B1")],
            "'B1', in a later stage",
        ),
        (PAIR, [tensor("B", "F")], "'F', which is a forward operator"),
    ],
)
def test_what_is_no_pipeline_says_why(operators, tensors, message):
    with pytest.raises(NotApplicable, match=message):
        PipelineView.of(problem_of(operators, tensors))


def test_a_collective_takes_its_phase_across_stages():
    """Its only neighbours in its own stage are of the other pass."""
    operators = [
        {"id": "F0", "duration": 1, "kind": "forward", "stage": 0},
        {"id": "c", "duration": 1, "kind": "all_to_all", "stage": 1},
        {"id": "F1", "duration": 1, "kind": "forward", "stage": 1},
        {"id": "F2", "duration": 1, "kind": "forward", "stage": 2},
        {"id": "B2", "duration": 1, "kind": "backward", "stage": 2},
        {"id": "B1", "duration": 1, "kind": "backward", "stage": 1},
        {"id": "d", "duration": 1, "kind": "all_to_all", "stage": 0},
        {"id": "B0", "duration": 1, "kind": "backward", "stage": 0},
    ]
    chain = ["F0", "c", "F1", "F2", "B2", "B1", "d", "B0"]
    tensors = [
        {"id": f"t{i}", "producer": a, "consumers": [b]} for i, (a, b) in enumerate(pairwise(chain))
    ]
    tensors.append({"id": "c saves", "producer": "c", "consumers": ["B1"]})
    tensors.append({"id": "F0 saves", "producer": "F0", "consumers": ["d"]})
    problem = Problem(template=build_graph(operators, tensors), cluster=Cluster.uniform(3))
    view = PipelineView.of(problem)
    assert view.forward(1, 0) == (1, 2)
    assert view.backward(0, 0) == (6, 7)
