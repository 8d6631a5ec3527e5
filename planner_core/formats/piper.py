"""JSON files of the Piper planner: layers with alternatives (TMPCs).

Format and rules: Tarnawski, Narayanan, Phanishayee 2021, "Piper: Multidimensional Planner for
DNN Parallelization" and its code (github.com/msr-fiddle/piper). A TMPC is a way of running a
layer: tensor-parallel over t devices, with or without recomputation. Time, in seconds, is
forward and backward together; a layer takes B + A × y bytes where y micro-batches are in
flight; every edge that leaves a device costs both ends its bytes twice (activation and
gradient) over the bandwidth, and a tensor-parallel layer adds bytes to scatter or gather.
"""

from __future__ import annotations

from typing import Any

from planner_core.formats.json_fields import integer, items, list_of, number, text
from planner_core.formats.json_text import UPLOAD_LIMIT, load_object
from planner_core.problem import (
    InputError,
    Objective,
    Problem,
    build_cluster,
    build_graph,
    check_problem,
)
from planner_core.problem.alternatives import Alternative, SplitProblem
from planner_core.problem.limits import MAX_DEVICES


def sniff(data: bytes) -> bool:
    """Whether a file has Piper's keys."""
    return b'"TMPCs"' in data and b'"maxMemoryPerDevice"' in data


def parse_problem(
    data: str | bytes, max_bytes: int = UPLOAD_LIMIT, *, in_flight: int = 1
) -> Problem:
    """Return the problem with every layer on one device, in the fastest such way.

    Parameters and errors as of :func:`parse_alternatives`, whose choices it leaves out.
    """
    return parse_alternatives(data, max_bytes, in_flight=in_flight).problem


def parse_alternatives(
    data: str | bytes, max_bytes: int = UPLOAD_LIMIT, *, in_flight: int = 1
) -> SplitProblem:
    """Return the layers of a Piper file with their alternatives.

    Alternative ids are ``"4 × vanilla"`` for the TMPC ``vanilla`` of degree 4. The transfer
    time of an edge is 2 × (bytes + the larger of what its two ends add) / bandwidth, staged:
    without tensor parallelism exactly the authors' cost, with it never below theirs, who let
    each end pay for its own. Data parallelism is not part of the problem. The objective is the
    period, in seconds; memory counts in bytes.

    Parameters
    ----------
    data : str or bytes
    max_bytes : int
        Largest text accepted.
    in_flight : int
        Micro-batches a device holds activations of (y).

    Raises
    ------
    InputError
        One sentence that names the node, edge or key and what to change.
    """
    if in_flight < 1:
        raise InputError(f"in_flight is {in_flight}; it must be 1 or more")
    document = load_object(data, max_bytes)
    bandwidth = number(document, "bandwidth", "the file")
    if bandwidth <= 0:
        raise InputError("the file has bandwidth 0; it must be above 0")
    tensors = _tensors(document, bandwidth)
    operators: list[dict[str, Any]] = []
    groups: list[dict[str, Any]] = []
    alternatives: dict[str, list[Alternative]] = {}
    for node, where in items(document, "nodes", "node"):
        name = text(node, "id", where)
        ways = _ways(node, name, where, tensors, bandwidth, in_flight)
        whole = [(time, way) for time, way in ways if way.shards == 1]
        if not whole:
            raise InputError(f"{where} has no TMPC of degree 1; add one, the way it runs unsplit")
        time, first = min(whole, key=lambda timed: timed[0])
        alternatives[name] = [way for _, way in ways]
        groups.append({"id": f"memory of {name}", "size": first.parameters[f"memory of {name}"]})
        operators.append({"id": name, "duration": time, "parameters": [f"memory of {name}"]})
    problem = Problem(
        template=build_graph(operators, list(tensors.values()), groups),
        cluster=_cluster(document),
        micro_batches=1,
        objective=Objective(("period",)),
        name="Piper",
        time_unit="s",
        memory_unit="B",
    )
    check_problem(problem)
    return SplitProblem(problem=problem, alternatives=alternatives)


def _ways(
    node: dict[str, Any],
    name: str,
    where: str,
    tensors: dict[tuple[str, str], dict[str, Any]],
    bandwidth: float,
    in_flight: int,
) -> list[tuple[float, Alternative]]:
    """Return every TMPC of a node with its time."""
    degrees = node.get("TMPCs")
    if not isinstance(degrees, dict) or not degrees:
        raise InputError(f"{where} has no TMPCs; add an object of degree to list of TMPCs")
    ways: list[tuple[float, Alternative]] = []
    for degree in degrees:
        if not (degree.isascii() and degree.isdigit() and 1 <= int(degree[:6]) <= MAX_DEVICES):
            raise InputError(
                f"{where} has TMPCs of degree '{degree[:40]}'; a degree is a whole number from 1 "
                f"to {MAX_DEVICES}"
            )
        for tmpc, at in list_of(degrees, degree, f"TMPC of degree {degree} of {where},"):
            label = text(tmpc, "id", at)
            gather = _gather(tmpc, "syncTimeFw", at, bandwidth, tensors, name, incoming=True)
            gather |= _gather(tmpc, "syncTimeBw", at, bandwidth, tensors, name, incoming=False)
            held = number(tmpc, "memoryUsageB", at) + in_flight * number(tmpc, "memoryUsageA", at)
            time = number(tmpc, "timePerSample", at)
            way = Alternative(
                id=f"{int(degree)} × {label}",
                shards=int(degree),
                duration=time,
                parameters={f"memory of {name}": held},
                gather=gather,
            )
            ways.append((time, way))
    return ways


def _gather(
    tmpc: dict[str, Any],
    key: str,
    at: str,
    bandwidth: float,
    tensors: dict[tuple[str, str], dict[str, Any]],
    name: str,
    *,
    incoming: bool,
) -> dict[str, float]:
    """Return the time that a TMPC adds to the transfers of its layer's edges, one way."""
    extra = tmpc.get(key, {})
    if not isinstance(extra, dict):
        raise InputError(f"{at} has {key} that is not an object; map node to bytes")
    times: dict[str, float] = {}
    for other in extra:
        edge = (other, name) if incoming else (name, other)
        if edge not in tensors:
            raise InputError(f"{at} names node '{other[:40]}' in {key}, but no edge joins the two")
        times[tensors[edge]["id"]] = 2 * number(extra, other, f"{at}, {key}") / bandwidth
    return times


def _tensors(document: dict[str, Any], bandwidth: float) -> dict[tuple[str, str], dict[str, Any]]:
    """Return one tensor per edge: the authors count every edge that is cut."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for edge, where in list_of(document, "edges", "edge"):
        ends = text(edge, "sourceId", where), text(edge, "destId", where)
        if ends in rows:
            raise InputError(f"the edge from '{ends[0]}' to '{ends[1]}' is given twice; keep one")
        rows[ends] = {
            "id": f"{ends[0]} → {ends[1]}",
            "producer": ends[0],
            "consumers": [ends[1]],
            "transfer": 2 * number(edge, "communicationCost", where) / bandwidth,
        }
    return rows


def _cluster(document: dict[str, Any]) -> Any:
    count = integer(document, "maxDevices", "the file")
    if not 1 <= count <= MAX_DEVICES:
        raise InputError(f"maxDevices is {count}; it must lie between 1 and {MAX_DEVICES}")
    memory = number(document, "maxMemoryPerDevice", "the file")
    return build_cluster(
        [{"id": f"gpu{k}", "memory": memory} for k in range(count)], None, "staged"
    )
