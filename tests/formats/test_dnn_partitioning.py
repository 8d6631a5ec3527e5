"""dnn-partitioning files keep the authors' meaning: staged transfers, hosts, colours, sizes."""

import contextlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_core.baselines.list_scheduling import heft
from planner_core.formats import parse_problem_file
from planner_core.formats.dnn_partitioning import parse_problem
from planner_core.problem import InputError
from planner_core.schedule import period

BESIDE = Path(__file__).parents[2].parent / "shared" / "reference"
REFERENCE = Path(os.environ.get("PLANNER_REFERENCE", BESIDE))
"""Folder of published inputs, which are not part of the repository."""

SMALL = {
    "maxSizePerFPGA": 100.0,
    "maxFPGAs": 2,
    "maxCPUs": 1,
    "nodes": [
        {"id": 7, "supportedOnFpga": 1, "cpuLatency": 9, "fpgaLatency": 1, "isBackwardNode": 0,
         "colorClass": 3, "size": 60.0, "name": "matmul"},
        {"id": 8, "supportedOnFpga": False, "cpuLatency": 2, "fpgaLatency": 5,
         "isBackwardNode": False, "size": 0},
        {"id": 9, "supportedOnFpga": True, "cpuLatency": 9.5, "fpgaLatency": 1.5,
         "isBackwardNode": 1, "colorClass": 3, "size": 30.0},
    ],
    "edges": [
        {"sourceId": 7, "destId": 8, "cost": 0.25, "size": 4},
        {"sourceId": 7, "destId": 9, "cost": 0.25},
        {"sourceId": 8, "destId": 9, "cost": 0.5},
    ],
}  # fmt: skip


def read(**changes):
    return parse_problem(json.dumps({**SMALL, **changes}).encode())


def test_maps_devices_operators_and_objective():
    problem = parse_problem_file(json.dumps(SMALL).encode())
    graph, cluster = problem.template, problem.cluster
    assert cluster.device_ids == ("fpga0", "fpga1", "cpu0")
    assert cluster.device_types == ("fpga", "fpga", "cpu")
    assert cluster.memory.tolist() == [100, 100, np.inf]
    assert cluster.host.tolist() == [False, False, True]
    assert cluster.staged
    assert problem.objective.minimize == ("period",)
    assert graph.operator_ids.tolist() == ["7", "8", "9"]
    assert problem.durations.tolist() == [[1, 1, 9], [np.inf, np.inf, 2], [1.5, 1.5, 9.5]]
    assert graph.colocation[0] == graph.colocation[2] >= 0 > graph.colocation[1]
    assert graph.group_size.tolist() == [60, 30]
    assert [graph.operator(o).kind for o in range(3)] == ["forward", "forward", "backward"]


def test_edges_of_one_cost_are_one_tensor_paid_once():
    graph = read().template
    assert graph.n_tensors == 2
    assert graph.consumers_of(0).tolist() == [1, 2]
    assert graph.transfer.tolist() == [0.25, 0.5]
    assert graph.size.tolist() == [0, 0]  # only nodes take memory in this model
    edges = [*SMALL["edges"][:1], {**SMALL["edges"][1], "cost": 0.75}]
    assert read(edges=edges).template.transfer.tolist() == [0.25, 0.75]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nodes": 3}, "no list 'nodes'"),
        ({"nodes": [3]}, "node number 1 is not an object"),
        ({"maxFPGAs": 10**9}, "maxFPGAs is 1000000000"),
        ({"maxCPUs": "2"}, "the file has maxCPUs '2'"),
        ({"maxCPUs": 0}, "no device can run operator '8'"),
        ({"edges": [{"sourceId": 7, "destId": 10, "cost": 1}]}, "'10', which does not exist"),
        ({"edges": [{"sourceId": 7, "destId": 8}]}, "edge number 1 has no cost"),
        ({"edges": [*SMALL["edges"], {"sourceId": 9, "destId": 7, "cost": 0}]}, "cycle"),
        ({"nodes": [{**SMALL["nodes"][0], "fpgaLatency": -1}]}, "node '7' has fpgaLatency -1"),
        ({"nodes": [{**SMALL["nodes"][0], "supportedOnFpga": "no"}]}, "supportedOnFpga 'no'"),
    ],
)
def test_bad_files_are_refused_with_the_item(changes, message):
    with pytest.raises(InputError, match=message):
        read(**changes)


@pytest.mark.parametrize(
    ("name", "operators", "fpgas", "edges"),
    [
        ("bert24_layers_inference", 32, 6, 55),
        ("bert24_layers_training", 64, 6, 110),
        ("bert3_operators_inference", 235, 3, 250),
    ],
)
def test_published_inputs(name, operators, fpgas, edges):
    path = REFERENCE / f"dnn-partitioning_{name}.json"
    if not path.exists():
        pytest.skip("the published inputs are not part of the repository")
    problem = parse_problem_file(path.read_bytes())
    document = json.loads(path.read_text())
    assert problem.template.n_operators == operators
    assert problem.n_devices == fpgas + 1
    assert len(problem.template.consumer) == edges
    # Every node of these inputs has one outgoing cost, as the format asks.
    assert problem.template.n_tensors == len({e["sourceId"] for e in document["edges"]})
    assert problem.template.group_size.sum() == pytest.approx(
        sum(node["size"] for node in document["nodes"])
    )


def authors_max_load(document, device_of):
    """Return the busiest device's load as the authors' integer programme defines it."""
    cost = {str(e["sourceId"]): e["cost"] for e in document["edges"]}
    loads = []
    for device in set(device_of.values()):
        on_host = device.startswith("cpu")
        latency = "cpuLatency" if on_host else "fpgaLatency"
        load = sum(n[latency] for n in document["nodes"] if device_of[str(n["id"])] == device)
        crossing = {
            str(e["sourceId"])
            for e in document["edges"]
            if (device_of[str(e["sourceId"])] == device) != (device_of[str(e["destId"])] == device)
        }
        loads.append(load + (0 if on_host else sum(cost[u] for u in crossing)))
    return max(loads)


@pytest.mark.parametrize(
    "name",
    [None, "bert24_layers_inference", "bert24_layers_training", "bert3_operators_inference"],
)
def test_the_period_is_the_authors_max_load(name):
    document = SMALL
    if name is not None:
        path = REFERENCE / f"dnn-partitioning_{name}.json"
        if not path.exists():
            pytest.skip("the published inputs are not part of the repository")
        document = json.loads(path.read_text())
    problem = parse_problem(json.dumps(document))
    schedule = heft(problem)
    ids = problem.graph.operator_ids.tolist()
    places = [problem.cluster.device_ids[k] for k in schedule.device]
    device_of = dict(zip(ids, places, strict=True))
    assert len(set(places)) > 1
    assert period(problem, schedule) == pytest.approx(authors_max_load(document, device_of))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_files_raise_input_errors_only(data):
    text = json.dumps(SMALL)
    start = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.integers(0, 12))
    filler = data.draw(st.text(alphabet='0123456789-.eE"[]{}:,ntf ', max_size=8))
    damaged = text[:start] + filler + text[start + length :]
    with contextlib.suppress(InputError):
        parse_problem(damaged.encode())
