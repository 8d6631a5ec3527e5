import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner_core.formats.native import problem_document
from planner_core.problem import (
    InputError,
    NotApplicable,
    Problem,
    build_cluster,
    build_graph,
)
from planner_core.problem.micro_batches import micro_batch_range, with_micro_batches
from planner_core.workloads import PLACEMENTS, pipeline


@given(
    st.sampled_from(PLACEMENTS),
    st.integers(1, 5),
    st.integers(1, 12),
    st.integers(1, 12),
)
def test_as_if_generated_with_that_many(placement, devices, given_count, count):
    changed = with_micro_batches(pipeline(devices, given_count, placement, name="p"), count)
    assert micro_batch_range(changed) == count
    if placement != "bidirectional" or given_count % 2 == 0:  # halves are halves
        wanted = pipeline(devices, count, placement, name="p")
        assert problem_document(changed) == problem_document(wanted)


def listed(**tail):
    operators = [
        {"id": f"{letter}@{i}", "duration": 1, "micro_batch": i}
        for i in range(3)
        for letter in "FB"
    ]
    tensors = [{"id": f"t@{i}", "producer": f"F@{i}", "consumers": [f"B@{i}"]} for i in range(3)]
    if tail:
        operators.append({"id": "step", "duration": 1, "kind": "optimizer"})
        tensors += [{"id": f"g@{i}", "producer": f"B@{i}", "consumers": ["step"]} for i in range(3)]
    return Problem(template=build_graph(operators, tensors), cluster=build_cluster([{"id": "a"}]))


def test_operators_of_no_micro_batch_stay_once():
    changed = with_micro_batches(listed(tail=True), 5)
    graph = changed.graph
    assert graph.n_operators == 11
    step = graph.operator_index["step"]
    feeding = sorted(graph.operator_ids[graph.edge_source[graph.edge_target == step]])
    assert feeding == [f"B@{i}" for i in range(5)]


def test_micro_batches_that_depend_on_each_other_keep_their_number():
    problem = listed()
    operators = problem_document(problem)["operators"]
    tensors = [*problem_document(problem)["tensors"],
               {"id": "x", "producer": "B@0", "consumers": ["F@1"]}]  # fmt: skip
    chained = Problem(template=build_graph(operators, tensors), cluster=problem.cluster)
    with pytest.raises(NotApplicable, match="F@1"):
        with_micro_batches(chained, 2)


@pytest.mark.parametrize("count", [0, -1, 10**9])
def test_out_of_range(count):
    with pytest.raises(InputError):
        with_micro_batches(pipeline(2, 2), count)
