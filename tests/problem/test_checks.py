"""What a problem must satisfy: every message of the checks."""

from dataclasses import replace

import numpy as np
import pytest

from planner_core.problem import (
    InputError,
    Objective,
    Problem,
    build_cluster,
    build_graph,
    check_problem,
)
from planner_core.problem.limits import MAX_DEVICES, MAX_OPERATORS, check_counts

A, B = {"id": "a", "duration": 1}, {"id": "b", "duration": 2}
T = {"id": "t", "producer": "a", "consumers": ["b"], "size": 1}
NUMBER = "it must be a finite number, 0 or more"


def refused(operators=(A, B), tensors=(T,), groups=(), devices=({"id": "d"},), links=None, **more):
    problem = Problem(
        template=build_graph(operators, tensors, groups),
        cluster=build_cluster(devices, links),
        **more,
    )
    with pytest.raises(InputError) as caught:
        check_problem(problem)
    return str(caught.value)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"operators": [], "tensors": []}, "the graph has no operators; add at least one"),
        ({"devices": []}, "the cluster has no devices; add at least one"),
        ({"micro_batches": 0}, "micro_batches is 0; it must be 1 or more"),
        ({"operators": [{**A, "duration": -1}, B]}, f"operator 'a' has duration -1; {NUMBER}"),
        (
            {"operators": [{**A, "duration": {"x": -1}}, B]},
            f"operator 'a' has duration on x -1; {NUMBER}",
        ),
        ({"operators": [{**A, "workspace": -1}, B]}, f"operator 'a' has workspace -1; {NUMBER}"),
        ({"tensors": [{**T, "size": np.nan}]}, f"tensor 't' has size nan; {NUMBER}"),
        ({"tensors": [{**T, "transfer": -2}]}, f"tensor 't' has transfer time -2; {NUMBER}"),
        ({"groups": [{"id": "w", "size": -1}]}, f"parameter group 'w' has size -1; {NUMBER}"),
        ({"devices": [{"id": "d", "memory": -1}]}, f"device 'd' has memory -1; {NUMBER}"),
        ({"devices": [{"id": "d", "speed": np.inf}]}, f"device 'd' has speed inf; {NUMBER}"),
        ({"devices": [{"id": "d", "speed": 0}]}, "device 'd' has speed 0; it must be above 0"),
        (
            {"devices": [{"id": "d"}, {"id": "e"}], "links": {"default": {"latency": -1}}},
            "the link from 'd' to 'e' has latency -1; use 0 or more",
        ),
        (
            {"devices": [{"id": "d"}, {"id": "e"}], "links": {"default": {"bandwidth": -1}}},
            "the link from 'd' to 'e' has bandwidth -1; use more than 0",
        ),
        (
            {"devices": [{"id": "d"}, {"id": "e"}], "links": {"default": {"bandwidth": np.nan}}},
            "the link from 'd' to 'e' has bandwidth nan; use more than 0",
        ),
        (
            {"objective": Objective(("period",), {"makespan": np.inf})},
            "the budget for makespan is inf; use 0 or more",
        ),
        (
            {"tensors": [{**T, "consumers": ["a"]}]},
            "tensor 't' is consumed by its own producer 'a'; remove it from the consumers",
        ),
        (
            {"tensors": [T, {"id": "u", "producer": "b", "consumers": ["a"]}]},
            "; remove one of these dependencies",
        ),
        (
            {"operators": [{**A, "micro_batch": 1}, B], "micro_batches": 2},
            "operator 'a' names its micro_batch although micro_batches is 2; give one or the other",
        ),
        (
            {"operators": [{**A, "devices": []}, B]},
            "operator 'a' has an empty device list; name a device or leave devices out",
        ),
        (
            {"operators": [{**A, "devices": ["x"]}, B]},
            "operator 'a' names device 'x', which does not exist; the devices are d",
        ),
        (
            {"operators": [{**A, "duration": {"x": 1}}, B], "devices": [{"id": "d", "type": "y"}]},
            "no device can run operator 'a': it gives no duration for the types of the devices "
            "it may use; the cluster has types y",
        ),
        (
            {
                "operators": [
                    {**A, "devices": ["d"], "colocate": "g"},
                    {**B, "devices": ["e"], "colocate": "g"},
                ],
                "devices": [{"id": "d"}, {"id": "e"}],
            },
            "the operators of colocation group 'g' have no device in common",
        ),
    ],
)
def test_messages(parts, message):
    assert message in refused(**parts)


def test_a_cycle_is_spelt_out():
    names = "abcd"
    operators = [{"id": name, "duration": 1} for name in names]
    edges = [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")]
    tensors = [{"id": a + b, "producer": a, "consumers": [b]} for a, b in edges]
    text = refused(operators, tensors)
    assert "'b' → 'c' → 'b'" in text or "'c' → 'b' → 'c'" in text


def test_a_long_cycle_is_shortened():
    operators = [{"id": f"o{i}", "duration": 1} for i in range(50)]
    tensors = [
        {"id": f"t{i}", "producer": f"o{i}", "consumers": [f"o{(i + 1) % 50}"]} for i in range(50)
    ]
    text = refused(operators, tensors)
    assert "…" in text
    assert len(text) < 200


def test_operators_of_the_same_kind_on_a_device_without_links_are_sound():
    problem = Problem(
        template=build_graph([A, B], [T]), cluster=build_cluster([{"id": "d"}, {"id": "e"}], [])
    )
    check_problem(problem)


def test_an_operator_without_any_duration():
    graph = build_graph([A, B], [T])
    broken = replace(graph, duration=np.array([np.nan, 1.0]))
    problem = Problem(template=broken, cluster=build_cluster([{"id": "d"}]))
    with pytest.raises(InputError, match="operator 'a' has no duration; give it a number"):
        check_problem(problem)


def test_counts_are_bounded():
    check_counts(MAX_DEVICES, MAX_OPERATORS)
    with pytest.raises(InputError, match="the cluster has 1025 devices; at most 1024"):
        check_counts(MAX_DEVICES + 1, 1)
    with pytest.raises(InputError, match="operators in all micro-batches; at most"):
        check_counts(1, MAX_OPERATORS + 1)
