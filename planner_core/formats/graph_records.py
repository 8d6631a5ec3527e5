"""Problems from graphs of networkx: what GraphML and DOT files are read into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from planner_core.formats.records import DEVICES, operator_record, problem_of, tensors_of_edges
from planner_core.problem import InputError, Problem

if TYPE_CHECKING:
    import networkx as nx


def problem_of_networkx(graph: nx.Graph, name: str, devices: int = DEVICES) -> Problem:
    """Return the problem of a directed graph.

    Parameters
    ----------
    graph : networkx DiGraph or MultiDiGraph
        Node attributes as of :func:`planner_core.formats.records.operator_record`, where
        ``parameters`` is a size (such a file has no place for shared groups); edge attributes
        as of :func:`planner_core.formats.records.tensors_of_edges`.
    name : str
    devices : int
        Number of like devices with free links.

    Raises
    ------
    InputError
        If the graph is not directed, or an attribute is missing or cannot be read.
    """
    if not graph.is_directed():
        raise InputError("the graph is not directed; edges must say which operator comes first")
    operators: list[dict[str, Any]] = []
    groups: list[dict[str, Any]] = []
    for node, fields in graph.nodes(data=True):
        row, group = operator_record(str(node), fields)
        operators.append(row)
        if group is not None:
            groups.append(group)
    edges = ((str(a), str(b), fields) for a, b, fields in graph.edges(data=True))
    return problem_of(operators, tensors_of_edges(edges), groups, name=name, devices=devices)
