"""What of a graph the canvas shows: all of it, or groups that open on demand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from pages.components.editor.edits import Document
from planner_core.charts.theme import KIND_TITLES

MOST_SHOWN = 300
"""Operators and groups on the canvas at once; a larger graph is shown as groups."""

MOST_PARTS = 100
"""Groups one group may fall into."""

BLOCKS = 16
"""Parts of a group whose operators nothing else tells apart."""

CRITERIA = ("stage", "micro-batch", "kind")

Rows = list[dict[str, Any]]


def visible(document: Document, opened: Sequence[str], first: str = "stage") -> dict[str, Any]:
    """Return the nodes and edges to draw.

    Parameters
    ----------
    document : dict
        A native document without cycles.
    opened : sequence of str
        Groups that are open, oldest first; if too much would be seen, the oldest stay closed.
    first : {"stage", "micro-batch", "kind"}
        What the graph is grouped by before anything else.

    Returns
    -------
    dict
        ``nodes``, ``edges``, ``groups`` (open ones, drawn as boxes) and ``merged``.
    """
    operators = document["operators"]
    if len(operators) <= MOST_SHOWN:
        owner = {row["id"]: f"o:{row['id']}" for row in operators}
        nodes: Rows = [{"node": f"o:{row['id']}", "row": row} for row in operators]
        return {"nodes": nodes, "edges": _edges(document, owner), "groups": [], "merged": False}
    ordered = _in_order(document)
    criteria = sorted(CRITERIA, key=lambda name: name != first)
    keep = list(opened)
    while True:
        shown = _Shown(set(keep), criteria)
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

    def __init__(self, opened: set[str], criteria: Sequence[str]) -> None:
        self.opened, self.criteria = opened, criteria
        self.nodes: Rows = []
        self.boxes: Rows = []
        self.owner: dict[str, str] = {}

    def open(self, path: str, box: str | None, members: Rows) -> None:
        """Show what is in a group."""
        if len(members) <= MOST_SHOWN // 2:
            for row in members:
                self.owner[row["id"]] = f"o:{row['id']}"
                self.nodes.append({"node": f"o:{row['id']}", "row": row, "parent": box})
            return
        for name, part in _split(members, self.criteria).items():
            inner = f"{path}/{name}"
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
                "kind": _most_common_kind(part),
            })  # fmt: skip


def _split(members: Rows, criteria: Sequence[str]) -> dict[str, Rows]:
    """Part a group by the first criterion that tells its operators apart."""
    for name in criteria:
        parts: dict[Any, Rows] = defaultdict(list)
        for row in members:
            parts[_NAMES[name](row)].append(row)
        if 2 <= len(parts) <= MOST_PARTS:
            return dict(parts)
    size = -(-len(members) // BLOCKS)
    return {
        f"{rows[0]['id']} … {rows[-1]['id']}": rows
        for start in range(0, len(members), size)
        if (rows := members[start : start + size])
    }


_NAMES: dict[str, Callable[[dict[str, Any]], str]] = {
    "stage": lambda row: f"stage {row['stage']}" if "stage" in row else "no stage",
    "micro-batch": lambda row: (
        f"micro-batch {row['micro_batch']}" if "micro_batch" in row else "no micro-batch"
    ),
    "kind": lambda row: KIND_TITLES[row.get("kind", "other")],
}


def _most_common_kind(rows: Rows) -> str:
    kinds = [row.get("kind", "other") for row in rows]
    return max(dict.fromkeys(kinds), key=kinds.count)


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
