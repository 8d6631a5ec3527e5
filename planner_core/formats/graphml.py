"""GraphML files, read and written with networkx."""

from __future__ import annotations

import re

from planner_core.formats.graph_records import networkx_of_problem, problem_of_networkx
from planner_core.formats.json_text import UPLOAD_LIMIT, PathLike, check_size, write_text
from planner_core.formats.records import DEVICES
from planner_core.problem import InputError, Problem


def sniff(data: bytes) -> bool:
    """Whether a file is XML that speaks of GraphML."""
    head = data.lstrip(b"\xef\xbb\xbf \t\r\n")[:4096]
    return head.startswith(b"<") and b"<graphml" in head


def parse_problem(data: bytes, max_bytes: int = UPLOAD_LIMIT, *, devices: int = DEVICES) -> Problem:
    """Return the problem of a directed graph in GraphML.

    Node attributes: ``duration`` (or ``time``, ``cost``, ``weight``), ``duration <type>``,
    ``kind``, ``stage``, ``devices``, ``parameters``, ``stream``, ``workspace``, ``colocate``;
    edge attributes: ``size`` (or ``bytes``, ``data``, ``weight``), ``transfer``, ``tensor``.

    Parameters
    ----------
    data : bytes
        UTF-8.
    max_bytes : int
        Largest content accepted.
    devices : int
        Number of like devices with free links, where the file is none of this library's and
        so says nothing of a cluster.

    Raises
    ------
    InputError
        If it is not GraphML, declares entities, is not directed, or lacks an attribute.
    """
    import networkx as nx

    check_size(len(data), max_bytes)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("the GraphML file is not UTF-8; save it as UTF-8") from None
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise InputError("the GraphML file declares a document type or entities; remove them")
    # The text is decoded: what the declaration says of its encoding no longer counts.
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text)
    try:
        graph = nx.parse_graphml(text)
    except Exception as error:  # networkx lets KeyError, ValueError and parser errors through
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"the file is not GraphML that can be read: {reason}") from None
    name = str(graph.graph.get("name") or "GraphML")[:200]
    return problem_of_networkx(graph, name, devices)


def write_problem(problem: Problem, path: PathLike) -> tuple[str, ...]:
    """Write a problem as GraphML; everything in it is carried.

    Raises
    ------
    InputError
        If a name cannot stand in such a file, or the file cannot be written.
    """
    import networkx as nx

    write_text("\n".join(nx.generate_graphml(networkx_of_problem(problem))) + "\n", path)
    return ()
