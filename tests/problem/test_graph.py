"""Graph columns: adjacency, unrolling over micro-batches, order, cycles, views."""

import networkx as nx
import numpy as np
from hypothesis import given, settings

from planner_core.problem import build_graph
from tests.strategies import problems


@settings(max_examples=100, deadline=None)
@given(problems())
def test_adjacency_agrees_with_the_edges(problem):
    graph = problem.graph
    for ptr, edges, end in ((*graph.out_edges, "edge_source"), (*graph.in_edges, "edge_target")):
        for o in range(graph.n_operators):
            own = edges[ptr[o] : ptr[o + 1]].tolist()
            assert own == np.flatnonzero(getattr(graph, end) == o).tolist()
    ptr, tensors = graph.tensors_of
    for o in range(graph.n_operators):
        assert tensors[ptr[o] : ptr[o + 1]].tolist() == np.flatnonzero(graph.producer == o).tolist()


@settings(max_examples=100, deadline=None)
@given(problems())
def test_topological_order(problem):
    graph = problem.graph
    position = np.empty(graph.n_operators, dtype=int)
    position[graph.topological_order] = np.arange(graph.n_operators)
    assert np.all(position[graph.edge_source] < position[graph.edge_target])
    assert graph.find_cycle() is None
    assert nx.is_directed_acyclic_graph(graph.to_networkx())


@settings(max_examples=50, deadline=None)
@given(problems(micro_batches=False))
def test_repeat_is_that_many_copies(problem):
    template = problem.template
    graph = template.repeat(3)
    n, m = template.n_operators, template.n_tensors
    assert graph.operator_ids[n].startswith("o0@1")
    assert template.repeat(1) is template
    for i in range(3):
        part = slice(i * n, (i + 1) * n)
        assert graph.micro_batch[part].tolist() == [i] * n
        np.testing.assert_array_equal(graph.duration[part], template.duration)
        np.testing.assert_array_equal(graph.duration_by_type[part], template.duration_by_type)
        for t in range(m):
            copy = i * m + t
            assert graph.producer[copy] == template.producer[t] + i * n
            expected = template.consumers_of(t) + i * n
            assert graph.consumers_of(copy).tolist() == expected.tolist()
        for o in range(n):
            assert graph.groups_of(i * n + o).tolist() == template.groups_of(o).tolist()


def test_a_cycle_is_found_in_order():
    graph = build_graph(
        [{"id": name, "duration": 1} for name in "abcde"],
        [{"id": a + b, "producer": a, "consumers": [b]} for a, b in ("ab", "bc", "cd", "db", "de")],
    )
    cycle = [graph.operator_ids[o] for o in graph.find_cycle()]
    assert "".join(cycle) in ("bcd", "cdb", "dbc")


def test_frames_show_the_columns():
    graph = build_graph(
        [{"id": "a", "duration": 1, "kind": "forward", "stage": 2}, {"id": "b", "duration": 2}],
        [{"id": "t", "producer": "a", "consumers": ["b"], "size": 3}],
    )
    operators, tensors = graph.operators_frame(), graph.tensors_frame()
    assert operators["stage"].isna().tolist() == [False, True]
    assert operators.loc[0, ["id", "kind", "duration"]].tolist() == ["a", "forward", 1.0]
    assert tensors.loc[0].tolist() == ["t", "a", "b", 3.0, False]
    assert [o.id for o in graph] == ["a", "b"]
