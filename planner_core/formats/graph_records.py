"""Problems from graphs of networkx and back: what GraphML and DOT files are read into.

Nodes are operators and edges say which operator consumes which tensor. What neither has a place
for (cluster, objective, micro-batches, units, parameter groups, tensors nobody consumes) stands
in the graph attribute :data:`REST`, as native JSON.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from planner_core.formats.json_text import load_object
from planner_core.formats.messages import validated
from planner_core.formats.native import problem_document
from planner_core.formats.records import (
    DEVICES,
    flat_operator,
    operator_record,
    plain,
    problem_of,
    tensors_of_edges,
)
from planner_core.formats.schema import PROBLEM_FORMAT
from planner_core.problem import InputError, Problem

if TYPE_CHECKING:
    import networkx as nx

REST = "parallelism-problem"
"""Graph attribute that holds what nodes and edges have no place for."""


def problem_of_networkx(graph: nx.Graph, name: str, devices: int = DEVICES) -> Problem:
    """Return the problem of a directed graph.

    Parameters
    ----------
    graph : networkx DiGraph or MultiDiGraph
        Node attributes as of :func:`planner_core.formats.records.operator_record`; edge
        attributes as of :func:`planner_core.formats.records.tensors_of_edges`; perhaps the
        graph attribute :data:`REST`.
    name : str
        Of a problem that has none.
    devices : int
        Number of like devices with free links, if no cluster is given.

    Raises
    ------
    InputError
        If the graph is not directed, or an attribute is missing or cannot be read.
    """
    if not graph.is_directed():
        raise InputError("the graph is not directed; edges must say which operator comes first")
    rest = _rest(graph.graph.get(REST))
    known = {row["id"] for row in rest.get("parameter_groups", ())}
    operators: list[dict[str, Any]] = []
    groups: list[dict[str, Any]] = []
    for node, fields in graph.nodes(data=True):
        row, group = operator_record(str(node), fields, known)
        operators.append(row)
        if group is not None:
            groups.append(group)
    edges = ((str(a), str(b), fields) for a, b, fields in graph.edges(data=True))
    tensors = tensors_of_edges(edges)
    return problem_of(operators, tensors, groups, rest=rest, name=name, devices=devices)


def _rest(text: object) -> dict[str, Any]:
    """Return what stands in the attribute :data:`REST`: a native document without operators."""
    if text is None:
        return {}
    document = load_object(str(text))
    if "operators" in document:
        raise InputError(f"the graph attribute {REST} has operators; nodes are the operators")
    found = validated("problem", {"format": PROBLEM_FORMAT, **document, "operators": []})
    del found["operators"]
    return found


def networkx_of_problem(problem: Problem) -> nx.MultiDiGraph:
    """Return the graph that :func:`problem_of_networkx` reads as the same problem.

    Raises
    ------
    InputError
        If a name cannot stand in a graph file.
    """
    import networkx as nx

    document = problem_document(problem)
    graph = nx.MultiDiGraph()
    for row in document.pop("operators"):
        graph.add_node(plain(row["id"], "operator"), **flat_operator(row))
    alone = []
    for row in document.pop("tensors"):
        consumers = row.pop("consumers")
        if not consumers:
            alone.append(row)
            continue
        fields = {"tensor": plain(row.pop("id"), "tensor")}
        producer = row.pop("producer")
        for consumer in consumers:
            graph.add_edge(producer, consumer, **fields, **row)
    graph.graph[REST] = json.dumps(document | ({"tensors": alone} if alone else {}))
    return graph
