"""Choosing alternatives gives an ordinary problem with the right shards, memory and order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_core.problem import InputError, Problem, build_cluster, build_graph
from planner_core.problem.alternatives import Alternative, SplitProblem

WAYS = (
    Alternative(id="whole", duration=4.0),
    Alternative(id="half", duration=2.5, shards=2, collective=0.5, tensors={"ta": 3.0}),
)


def split(ways_of_b=WAYS[:1], devices=4, **b):
    operators = [
        {"id": "a", "duration": 4.0, "parameters": ["w"], "colocate": "s"},
        {"id": "b", "duration": 4.0, "parameters": ["w"], "colocate": "s", **b},
        {"id": "c", "duration": 1.0},
    ]
    tensors = [
        {"id": "ta", "producer": "a", "consumers": ["b", "c"], "size": 6.0},
        {"id": "tb", "producer": "b", "consumers": ["c"], "size": 1.0},
    ]
    problem = Problem(
        template=build_graph(operators, tensors, [{"id": "w", "size": 10.0}]),
        cluster=build_cluster([{"id": f"g{k}"} for k in range(devices)]),
    )
    return SplitProblem(problem=problem, alternatives={"a": WAYS, "b": ways_of_b})


def test_no_choice_is_the_problem_itself():
    case = split()
    assert case.expand({}) is case.problem


def test_shards_exchange_before_anyone_reads_the_result():
    graph = split().expand({"a": "half"}).template
    index = graph.operator_index
    assert set(index) == {"a/0", "a/1", "a/0:sync", "a/1:sync", "b", "c"}
    edges = {
        (graph.operator_ids[s], graph.operator_ids[t])
        for s, t in zip(graph.edge_source, graph.edge_target, strict=True)
    }
    # Both exchanges wait for both shards, consumers for the exchange.
    assert {(f"a/{i}", f"a/{j}:sync") for i in (0, 1) for j in (0, 1)} <= edges
    assert ("a/0:sync", "b") in edges
    assert not any(s in ("a/0", "a/1") and not t.endswith(":sync") for s, t in edges)
    assert graph.stream_names[graph.stream[index["a/0:sync"]]] == "network"
    assert graph.colocation[index["a/0:sync"]] == graph.colocation[index["a/0"]]
    assert graph.colocation[index["a/0"]] != graph.colocation[index["a/1"]]
    assert graph.size[graph.tensor_index["ta/0"]] == 3.0


def test_equal_ways_share_shards_of_weights_and_places():
    ways = (Alternative(id="half", duration=1.0, shards=2),)
    graph = split(ways).expand({"a": "half", "b": "half"}).template
    index = graph.operator_index
    for i in (0, 1):
        a, b = index[f"a/{i}"], index[f"b/{i}"]
        assert graph.groups_of(a).tolist() == graph.groups_of(b).tolist()
        assert graph.colocation[a] == graph.colocation[b]
    assert graph.group_size.tolist() == [5, 5]
    # Shard to shard: b/1 reads a's second copy.
    assert index["b/1"] in graph.consumers_of(graph.tensor_index["ta/1"])


@pytest.mark.parametrize(
    ("way", "message"),
    [
        (Alternative(id="x", duration=1.0, shards=0), "has 0 shards"),
        (Alternative(id="x", duration=-1.0), "negative"),
        (Alternative(id="x", duration={"H": np.inf}), "not finite"),
        (Alternative(id="x", duration=1.0, parameters={"v": 1.0}), "'v' in parameters"),
        (Alternative(id="x", duration=1.0, tensors={"tc": 1.0}), "'tc' in tensors"),
        (Alternative(id="x", duration=1.0, gather={"tb": 1.0}), "'tb' in gather"),
    ],
)
def test_ways_that_do_not_fit_are_refused(way, message):
    with pytest.raises(InputError, match=message):
        split((way,))


def test_unknown_and_too_wide_choices_are_refused():
    with pytest.raises(InputError, match="has no alternative 'third'; it has whole, half"):
        split().expand({"a": "third"})
    with pytest.raises(InputError, match="needs 2 devices"):
        split(devices=1).expand({"a": "half"})
    with pytest.raises(InputError, match="'z', which does not exist"):
        SplitProblem(problem=split().problem, alternatives={"z": WAYS})
    sizes = (Alternative(id="half", duration=1.0, shards=2, parameters={"w": 7.0}),)
    with pytest.raises(InputError, match="different sizes"):
        split(sizes).expand({"a": "half", "b": "half"})


@settings(max_examples=40, deadline=None)
@given(k=st.integers(1, 4), q=st.integers(1, 4), collective=st.sampled_from([0.0, 1.0]))
def test_every_consumer_shard_reads_each_tensor_once(k, q, collective):
    a = Alternative(id="k", duration=1.0, shards=k, collective=collective)
    b = Alternative(id="q", duration=1.0, shards=q)
    case = split()
    case = SplitProblem(problem=case.problem, alternatives={"a": (a,), "b": (b,)})
    graph = case.expand({"a": "k", "b": "q"}).template
    assert graph.find_cycle() is None
    names = graph.operator_ids
    readers = [
        str(names[o])
        for t in range(graph.n_tensors)
        if str(graph.tensor_ids[t]).split("/")[0] == "ta" and "partial" not in graph.tensor_ids[t]
        for o in graph.consumers_of(t)
    ]
    expected = {"b"} if q == 1 else {f"b/{i}" for i in range(q)}
    assert sorted(readers) == sorted(expected | {"c"})
    # The weights are held once in all if nothing is split, else once per way.
    assert graph.group_size.sum() == pytest.approx(10.0 if k == q == 1 else 20.0)
