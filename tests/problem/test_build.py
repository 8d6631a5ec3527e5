"""Graphs and clusters from records: columns, numbering, and every message."""

import numpy as np
import pytest

from planner_core.problem import InputError, build_cluster, build_graph

A, B = {"id": "a", "duration": 1}, {"id": "b", "duration": 2}


def test_columns():
    graph = build_graph(
        [
            {**A, "kind": "forward", "stage": 1, "micro_batch": 2, "parameters": ["w", "v", "w"]},
            {"id": "b", "duration": {"x": 3, "y": 4}, "stream": "network", "workspace": 5},
            {"id": "c", "duration": 1, "colocate": "g", "devices": ["d1", "d0"]},
        ],
        [
            {"id": "t", "producer": "a", "consumers": ["b", "c", "b"], "size": 6, "output": True},
            {"id": "u", "producer": "b", "transfer": 7},
        ],
        [{"id": "v", "size": 8}, {"id": "w"}],
    )
    assert (graph.n_operators, graph.n_tensors, graph.n_groups) == (3, 2, 2)
    assert graph.groups_of(0).tolist() == [1, 0]
    assert graph.consumers_of(0).tolist() == [1, 2]
    assert np.isnan(graph.duration[1])
    assert graph.duration_by_type[1].tolist() == [3, 4]
    assert graph.type_names == ("x", "y")
    assert graph.stream.tolist() == [0, 1, 0]
    assert graph.stage.tolist() == [1, -1, -1]
    assert graph.micro_batch.tolist() == [2, -1, -1]
    assert graph.workspace.tolist() == [0, 5, 0]
    assert graph.colocation.tolist() == [-1, -1, 0]
    assert graph.device_sets[graph.device_set[2]] == ("d1", "d0")
    assert graph.is_output.tolist() == [True, False]
    assert np.isnan(graph.transfer[0])
    assert graph.transfer[1] == 7
    assert graph.group_size.tolist() == [8, 0]


@pytest.mark.parametrize(
    ("operators", "tensors", "groups", "message"),
    [
        ([A, A], [], [], "operator 'a' is given twice; give each an id of its own"),
        ([{**A, "kind": "fwd"}], [], [], "operator 'a' has kind 'fwd'; it must be one of forward"),
        ([{**A, "duration": {}}], [], [], "operator 'a' gives no duration; name a device type"),
        (
            [{**A, "duration": float("nan")}],
            [],
            [],
            "operator 'a' has duration nan; it must be a finite number, 0 or more",
        ),
        (
            [{**A, "duration": {"x": float("inf")}}],
            [],
            [],
            "operator 'a' has duration on x inf; it must be a finite number",
        ),
        ([{**A, "parameters": ["w"]}], [], [], "operator 'a' uses parameter group 'w', which"),
        ([A], [{"id": "t", "producer": "z"}], [], "tensor 't' names the producer 'z', which"),
        (
            [A],
            [{"id": "t", "producer": "a", "consumers": ["z"]}],
            [],
            "tensor 't' names the consumer 'z', which does not exist; correct the id",
        ),
        ([A], [{"id": "t", "producer": "a"}] * 2, [], "tensor 't' is given twice"),
        (
            [A],
            [{"id": "t", "producer": "a", "transfer": float("nan")}],
            [],
            "tensor 't' has transfer time nan",
        ),
        ([A], [], [{"id": "w"}] * 2, "parameter group 'w' is given twice"),
    ],
)
def test_graph_messages(operators, tensors, groups, message):
    with pytest.raises(InputError) as caught:
        build_graph(operators, tensors, groups)
    assert message in str(caught.value)


DEVICES = [{"id": "d0", "type": "x", "memory": 3, "speed": 2}, {"id": "d1", "host": True}]


def test_cluster_columns():
    cluster = build_cluster(
        DEVICES,
        [{"source": "d0", "target": "d1", "latency": 1, "bandwidth": 4, "exclusive": True}],
        "staged",
    )
    assert cluster.device_types == ("x", None)
    assert cluster.memory.tolist() == [3, np.inf]
    assert cluster.speed.tolist() == [2, 1]
    assert cluster.host.tolist() == [False, True]
    assert cluster.has_link.tolist() == [[True, True], [False, True]]
    assert (cluster.latency[0, 1], cluster.bandwidth[0, 1]) == (1, 4)
    assert cluster.exclusive.tolist() == [[False, True], [False, False]]
    assert cluster.staged


def test_links_absent_none_and_default():
    assert build_cluster(DEVICES).has_link.all()
    assert not build_cluster(DEVICES).staged
    assert not build_cluster(DEVICES, []).has_link[0, 1]
    cluster = build_cluster(DEVICES, {"default": {"latency": 2, "exclusive": True}})
    assert cluster.latency.tolist() == [[0, 2], [2, 0]]
    assert np.isinf(cluster.bandwidth).all()
    assert cluster.exclusive.tolist() == [[False, True], [True, False]]


LINK = {"source": "d0", "target": "d1"}


@pytest.mark.parametrize(
    ("devices", "links", "message"),
    [
        ([{"id": "d"}] * 2, None, "device 'd' is given twice"),
        ([{"id": "d", "memory": float("inf")}], None, "device 'd' has memory inf"),
        (DEVICES, [{"source": "d9", "target": "d1"}], "names the device 'd9', which does not"),
        (DEVICES, [{"source": "d0", "target": "d0"}], "a link joins 'd0' to itself; remove it"),
        (DEVICES, [LINK, LINK], "the link from 'd0' to 'd1' is given twice; keep one"),
        (
            DEVICES,
            [{**LINK, "latency": float("inf")}],
            "the link from 'd0' to 'd1' has latency inf; it must be a finite number",
        ),
        (DEVICES, {"default": {"latency": float("nan")}}, "the default link has latency nan"),
    ],
)
def test_cluster_messages(devices, links, message):
    with pytest.raises(InputError) as caught:
        build_cluster(devices, links)
    assert message in str(caught.value)
