"""What of a graph the canvas shows: all of it, or groups that open on demand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pages.components.editor.edits import Document
from planner_core.charts.theme import KIND_TITLES

MOST_SHOWN = 300
"""Operators and groups on the canvas at once; a larger graph is shown as groups."""

MOST_PARTS = 100
"""Groups one group may fall into."""

BLOCKS = 16
"""Parts of a group whose operators nothing else tells apart."""

MIXED = "mixed"
"""Kind of a group whose operators are of several."""

CRITERIA = ("stage", "micro-batch", "kind")

WHOLE, MACRO = "nothing", "merging"
"""Other things to group by: not at all, and the macro-operators that merging makes."""

Rows = list[dict[str, Any]]


def grouped_by(document: Document) -> tuple[str, ...]:
    """What the graph of a document can be grouped by, the default first."""
    small = len(document["operators"]) <= MOST_SHOWN
    return (*((WHOLE,) if small else ()), *CRITERIA, MACRO)


def visible(
    document: Document,
    opened: Sequence[str],
    first: str | None = None,
    macro: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Return the nodes and edges to draw.

    Parameters
    ----------
    document : dict
        A native document without cycles.
    opened : sequence of str
        Groups that are open, oldest first; if too much would be seen, the oldest stay closed.
    first : str, optional
        One of :func:`grouped_by`, by default its first: what the graph is grouped by before
        anything else.
    macro : mapping of str to int, optional
        Macro-operator of every operator, to group by merging.

    Returns
    -------
    dict
        ``nodes``, ``edges``, ``groups`` (open ones, drawn as boxes) and ``merged``.
    """
    operators = document["operators"]
    first = first or grouped_by(document)[0]
    if first == WHOLE or (first == MACRO and not macro and len(operators) <= MOST_SHOWN):
        owner = {row["id"]: f"o:{row['id']}" for row in operators}
        nodes: Rows = [{"node": f"o:{row['id']}", "row": row} for row in operators]
        return {"nodes": nodes, "edges": _edges(document, owner), "groups": [], "merged": False}
    ordered = _in_order(document)
    criteria = sorted(CRITERIA, key=lambda name: name != first)
    keep = list(opened)
    while True:
        shown = _Shown(set(keep), criteria, macro if first == MACRO else None)
        shown.open("", None, ordered)
        if len(shown.nodes) <= MOST_SHOWN or not keep:
            break
        keep.pop(0)
    return {
        "nodes": shown.nodes,
        "edges": _edges(document, shown.owner),
        "groups": shown.boxes,
        "merged": True,
    }


class _Shown:
    """Groups and operators as they are found from the whole graph downwards."""

    def __init__(
        self, opened: set[str], criteria: Sequence[str], macro: Mapping[str, int] | None
    ) -> None:
        self.opened, self.criteria, self.macro = opened, criteria, macro
        self.nodes: Rows = []
        self.boxes: Rows = []
        self.owner: dict[str, str] = {}

    def open(self, path: str, box: str | None, members: Rows) -> None:
        """Show what is in a group."""
        parts = self._parts(path, members)
        if parts is None:
            self._show(box, members)
            return
        for name, part in parts.items():
            inner = f"{path}/{name}"
            if self.macro and len(part) == 1:
                self._show(box, part)
                continue
            node = f"g:{inner}"
            if inner in self.opened:
                self.boxes.append({"node": node, "label": name, "parent": box, "path": inner})
                self.open(inner, node, part)
                continue
            self.owner.update((row["id"], node) for row in part)
            self.nodes.append({
                "node": node,
                "parent": box,
                "path": inner,
                "label": name,
                "count": len(part),
                "kind": _common_kind(part),
            })  # fmt: skip

    def _show(self, box: str | None, members: Rows) -> None:
        for row in members:
            self.owner[row["id"]] = f"o:{row['id']}"
            self.nodes.append({"node": f"o:{row['id']}", "row": row, "parent": box})

    def _parts(self, path: str, members: Rows) -> dict[str, Rows] | None:
        """Groups within a group; None if its operators are shown one by one."""
        few = len(members) <= MOST_SHOWN // 2
        macros = _macros(members, self.macro) if self.macro else {}
        if (not path and len(macros) == 1) or 1 < len(macros) <= MOST_SHOWN // 2:
            return macros
        if len(macros) > 1:  # groups of macro-operators, each where its first operator belongs
            whole = {rows[0]["id"]: rows for rows in macros.values()}
            parts = _split([rows[0] for rows in macros.values()], self.criteria)
            return {
                name: [row for first in part for row in whole[first["id"]]]
                for name, part in parts.items()
            }
        if few and (path or not _told_apart(members, self.criteria)):
            return None
        return _split(members, self.criteria)


def _macros(members: Rows, macro: Mapping[str, int]) -> dict[str, Rows]:
    """Part a group into macro-operators, each named by its first operator."""
    parts: dict[int, Rows] = defaultdict(list)
    for row in members:
        parts[macro[row["id"]]].append(row)
    return {
        rows[0]["id"] + (f" + {len(rows) - 1}" if len(rows) > 1 else ""): rows
        for rows in parts.values()
    }


def _split(members: Rows, criteria: Sequence[str]) -> dict[str, Rows]:
    """Part a group by the first criterion that tells its operators apart, else evenly."""
    parts = _told_apart(members, criteria)
    if parts:
        return parts
    size = -(-len(members) // BLOCKS)
    return {
        f"{rows[0]['id']} … {rows[-1]['id']}": rows
        for start in range(0, len(members), size)
        if (rows := members[start : start + size])
    }


def _told_apart(members: Rows, criteria: Sequence[str]) -> dict[str, Rows] | None:
    for name in criteria:
        parts: dict[Any, Rows] = defaultdict(list)
        for row in members:
            parts[_NAMES[name](row)].append(row)
        if 2 <= len(parts) <= MOST_PARTS:
            return dict(parts)
    return None


_NAMES: dict[str, Callable[[dict[str, Any]], str]] = {
    "stage": lambda row: f"stage {row['stage']}" if "stage" in row else "no stage",
    "micro-batch": lambda row: (
        f"micro-batch {row['micro_batch']}" if "micro_batch" in row else "no micro-batch"
    ),
    "kind": lambda row: KIND_TITLES[row.get("kind", "other")],
}


def _common_kind(rows: Rows) -> str:
    kinds = {row.get("kind", "other") for row in rows}
    return kinds.pop() if len(kinds) == 1 else MIXED


def _in_order(document: Document) -> Rows:
    """Operators so that producers precede consumers."""
    waiting: dict[str, int] = {row["id"]: 0 for row in document["operators"]}
    after: dict[str, list[str]] = defaultdict(list)
    for tensor in document["tensors"]:
        for consumer in tensor.get("consumers", ()):
            after[tensor["producer"]].append(consumer)
            waiting[consumer] += 1
    order = [name for name, count in waiting.items() if count == 0]
    for name in order:
        for consumer in after[name]:
            waiting[consumer] -= 1
            if waiting[consumer] == 0:
                order.append(consumer)
    rows = {row["id"]: row for row in document["operators"]}
    return [rows[name] for name in order]


def _edges(document: Document, owner: dict[str, str]) -> Rows:
    """Edges between what is shown; those between the same two groups become one."""
    single: Rows = []
    several: dict[tuple[str, str], dict[str, Any]] = {}
    for tensor in document["tensors"]:
        source = owner[tensor["producer"]]
        for name in tensor.get("consumers", ()):
            target = owner[name]
            if source == target:
                continue
            if source[0] == target[0] == "o":
                single.append({"source": source, "target": target, "row": tensor})
            else:
                edge = several.setdefault(
                    (source, target), {"source": source, "target": target, "count": 0}
                )
                edge["count"] += 1
    return single + list(several.values())
