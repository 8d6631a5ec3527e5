"""DOT files (Graphviz)."""

from __future__ import annotations

import contextlib
import io
import re
from typing import Any

import pydot

from planner_core.formats.graph_records import REST, networkx_of_problem, problem_of_networkx
from planner_core.formats.json_text import UPLOAD_LIMIT, PathLike, check_size, write_text
from planner_core.formats.records import DEVICES
from planner_core.problem import InputError, Problem

MAX_DOT_BYTES = 4 * 2**20
"""pydot reads about a megabyte in half a minute; larger graphs belong into other formats."""

DEEPEST = 6
"""Braces inside each other: pydot tries each pair twice, so its time doubles with every level."""

_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)

_HEAD = re.compile(rb"(?>\s|//[^\n]*\n|#[^\n]*\n|/\*.*?\*/)*+(strict\s+)?(di)?graph\b", re.DOTALL)
"""Nothing in it is tried twice: a comment is read in one way only."""


def sniff(data: bytes) -> bool:
    """Whether a file begins like DOT: comments, then ``digraph`` or ``graph``."""
    return _HEAD.match(data.removeprefix(b"\xef\xbb\xbf")[:65536]) is not None


def parse_problem(data: bytes, max_bytes: int = UPLOAD_LIMIT, *, devices: int = DEVICES) -> Problem:
    """Return the problem of a directed graph in DOT; attributes as of GraphML.

    Parameters
    ----------
    data : bytes
        UTF-8.
    max_bytes : int
        Largest content accepted, at most :data:`MAX_DOT_BYTES`.
    devices : int
        Number of like devices with free links.

    Raises
    ------
    InputError
        If it is not DOT, is not directed, or lacks an attribute.
    """
    check_size(len(data), min(max_bytes, MAX_DOT_BYTES))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("the DOT file is not UTF-8; save it as UTF-8") from None
    _check_nesting(text)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # pydot prints what it cannot parse
            graphs = pydot.graph_from_dot_data(text)
    except Exception as error:  # the parser lets several types through
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"the file is not DOT that can be read: {reason}") from None
    if not graphs:
        raise InputError("the file is not DOT that can be read; check its braces and quotes")
    return problem_of_networkx(_networkx(graphs[0]), _bare(graphs[0].get_name()) or "DOT", devices)


def _check_nesting(text: str) -> None:
    depth = deepest = 0
    for brace in re.findall("[{}]", _STRING.sub("", text)):
        depth += 1 if brace == "{" else -1
        deepest = max(deepest, depth)
    if deepest > DEEPEST:
        raise InputError(
            f"the DOT file nests subgraphs {deepest} deep; at most {DEEPEST} are read, so write "
            "the inner ones out"
        )


def _networkx(dot: Any) -> Any:
    """Return the nodes and edges of a pydot graph, those of subgraphs included."""
    import networkx as nx

    graph: Any = nx.MultiDiGraph() if dot.get_type() == "digraph" else nx.MultiGraph()
    graph.graph.update(_fields(dot))
    defaults: dict[str, str] = {}
    waiting = [dot]
    edges: list[tuple[str, str, dict[str, str]]] = []
    while waiting:
        part = waiting.pop()
        for node in part.get_nodes():
            name, fields = node.get_name(), _fields(node)
            if name == "node":  # in quotes it is an operator of that name
                defaults |= fields
            elif name not in ("edge", "graph"):
                graph.add_node(_bare(name), **fields)
        for edge in part.get_edges():
            ends = edge.get_source(), edge.get_destination()
            if not all(isinstance(end, str) for end in ends):
                raise InputError("an edge of the DOT file joins groups of nodes; write each edge")
            edges.append((_port_free(ends[0]), _port_free(ends[1]), _fields(edge)))
        waiting += part.get_subgraphs()
    for source, target, fields in edges:
        graph.add_edge(source, target, **fields)
    for name in graph.nodes:
        graph.nodes[name].update(defaults | graph.nodes[name])
    return graph


def _fields(part: Any) -> dict[str, str]:
    return {_bare(key): _bare(value) for key, value in part.get_attributes().items()}


def _bare(text: object) -> str:
    """Return a name or value without its quotes."""
    bare = str(text).strip()
    if len(bare) >= 2 and bare[0] == bare[-1] == '"':
        bare = bare[1:-1].replace('\\"', '"')
    return bare


def _port_free(end: str) -> str:
    """Return the node of an edge's end: what follows an unquoted colon is a port."""
    return _bare(end if end.startswith('"') else end.split(":")[0])


def write_problem(problem: Problem, path: PathLike) -> tuple[str, ...]:
    """Write a problem as DOT; everything in it is carried.

    Raises
    ------
    InputError
        If a name cannot stand in such a file, or the file cannot be written.
    """
    graph = networkx_of_problem(problem)
    # In strings of DOT only \" is an escape, so the JSON is to hold no backslash before it.
    rest = graph.graph[REST].replace("\\\\", "\\u005c").replace('\\"', "\\u0022")
    lines = ["digraph {", f"  {_quoted(REST)}={_quoted(rest)};"]
    for name, fields in graph.nodes(data=True):
        lines.append(f"  {_quoted(name)} {_attributes(fields)};")
    for source, target, fields in graph.edges(data=True):
        lines.append(f"  {_quoted(source)} -> {_quoted(target)} {_attributes(fields)};")
    write_text("\n".join([*lines, "}"]) + "\n", path)
    return ()


def _attributes(fields: dict[str, Any]) -> str:
    return "[" + ", ".join(f"{_quoted(key)}={_quoted(fields[key])}" for key in fields) + "]"


def _quoted(value: object) -> str:
    text = str(value)
    if text.endswith("\\") or '\\"' in text:
        raise InputError(
            f"'{text[:60]}' cannot be written in DOT: a backslash must not stand before a quote "
            "or at the end; rename it or write a .json file"
        )
    escaped = text.replace('"', '\\"')
    return f'"{escaped}"'
