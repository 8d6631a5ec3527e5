"""JSON files of the dnn-partitioning collection.

Format and rules: Tarnawski et al. 2020, "Efficient Algorithms for Device Placement of DNN Graph
Operators" and its code (github.com/msr-fiddle/dnn-partitioning): accelerators ("FPGAs") with a
memory limit and CPUs without; a node's output travels through host memory, which an accelerator
pays for once per node on either side and a CPU never; the busiest device is minimised.
"""

from __future__ import annotations

from typing import Any

from planner_core.formats.json_fields import flag, integer, items, list_of, number, text
from planner_core.formats.json_text import UPLOAD_LIMIT, load_object
from planner_core.problem import (
    InputError,
    Objective,
    Problem,
    build_cluster,
    build_graph,
    check_problem,
)
from planner_core.problem.limits import MAX_DEVICES

SAME_COST = 1e-6
"""Costs of one node's edges closer than this are one tensor (as in the authors' code)."""


def sniff(data: bytes) -> bool:
    """Whether a file has the collection's keys."""
    return b'"fpgaLatency"' in data and b'"maxFPGAs"' in data


def parse_problem(data: str | bytes, max_bytes: int = UPLOAD_LIMIT) -> Problem:
    """Return the problem of a dnn-partitioning file.

    Operator ids are the nodes' ids as text; devices are ``fpga0``, … (type ``fpga``) and
    ``cpu0``, … (type ``cpu``, host). A node's size is a parameter group of its own, its color
    class a colocation group, its outgoing cost the fixed transfer time of its tensor. Times are
    in ms, sizes in bytes; the objective is the period. Keys that the format does not know
    (names, layer ids) are passed over.

    Parameters
    ----------
    data : str or bytes
    max_bytes : int
        Largest text accepted.

    Raises
    ------
    InputError
        One sentence that names the node, edge or key and what to change.
    """
    document = load_object(data, max_bytes)
    operators: list[dict[str, Any]] = []
    groups: list[dict[str, Any]] = []
    for node, where in items(document, "nodes", "node"):
        name = text(node, "id", where)
        durations = {"cpu": number(node, "cpuLatency", where)}
        if flag(node, "supportedOnFpga", where):
            durations["fpga"] = number(node, "fpgaLatency", where)
        color = node.get("colorClass")
        row: dict[str, Any] = {
            "id": name,
            "duration": durations,
            "kind": "backward" if flag(node, "isBackwardNode", where, False) else "forward",
            "colocate": None if color is None else f"color {integer(node, 'colorClass', where)}",
        }
        size = number(node, "size", where, 0.0)
        if size:
            groups.append({"id": f"size of {name}", "size": size})
            row["parameters"] = [f"size of {name}"]
        operators.append(row)
    problem = Problem(
        template=build_graph(operators, _tensors(document), groups),
        cluster=_cluster(document),
        objective=Objective(("period",)),
        name="dnn-partitioning",
        time_unit="ms",
        memory_unit="B",
    )
    check_problem(problem)
    return problem


def _cluster(document: dict[str, Any]) -> Any:
    limit = number(document, "maxSizePerFPGA", "the file")
    n_fpgas = integer(document, "maxFPGAs", "the file")
    n_cpus = integer(document, "maxCPUs", "the file")
    for key, count in (("maxFPGAs", n_fpgas), ("maxCPUs", n_cpus)):
        if not 0 <= count <= MAX_DEVICES:
            raise InputError(f"{key} is {count}; it must lie between 0 and {MAX_DEVICES}")
    devices: list[dict[str, Any]] = [
        {"id": f"fpga{k}", "type": "fpga", "memory": limit} for k in range(n_fpgas)
    ]
    devices += [{"id": f"cpu{k}", "type": "cpu", "host": True} for k in range(n_cpus)]
    return build_cluster(devices, None, "staged")


def _tensors(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one tensor per node and distinct outgoing cost."""
    rows: list[dict[str, Any]] = []
    of_source: dict[str, list[dict[str, Any]]] = {}
    for edge, where in list_of(document, "edges", "edge"):
        source, target = text(edge, "sourceId", where), text(edge, "destId", where)
        cost = number(edge, "cost", where)
        own = of_source.setdefault(source, [])
        row = next((r for r in own if abs(r["transfer"] - cost) <= SAME_COST), None)
        if row is None:
            suffix = "" if not own else f".{len(own)}"
            row = {
                "id": f"output of {source}{suffix}",
                "producer": source,
                "consumers": [],
                "transfer": cost,
            }
            own.append(row)
            rows.append(row)
        row["consumers"].append(target)
    return rows
