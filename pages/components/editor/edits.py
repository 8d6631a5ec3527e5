"""What an edit does to a native document; the document it is given stays as it was."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from planner_core.formats.native import problem_from_document
from planner_core.formats.schema import PROBLEM_FORMAT
from planner_core.problem import InputError, PlannerError, Problem

Document = dict[str, Any]
Row = dict[str, Any]
Edit = Mapping[str, Any]

TABLES = ("operators", "tensors", "parameter_groups", "devices", "links")
"""Tables of a document, by their names in the file."""

_SETTINGS = ("name", "micro_batches", "time_unit", "memory_unit")


def blank(devices: int = 2) -> Document:
    """Return a document without operators on a small cluster."""
    return {
        "format": PROBLEM_FORMAT,
        "name": "my graph",
        "time_unit": "ms",
        "memory_unit": "MiB",
        "operators": [],
        "tensors": [],
        "parameter_groups": [],
        "cluster": {"devices": [{"id": f"gpu{k}", "memory": 16.0} for k in range(devices)]},
        "objective": {"minimize": "makespan"},
    }


def checked(document: Document) -> Problem | None:
    """Return the problem of a document; None if it has no operators yet.

    Raises
    ------
    InputError
        One sentence on what is wrong.
    """
    if document["operators"]:
        return problem_from_document(document)
    # The rest must be sound too, so an operator stands in for those to come.
    problem_from_document(document | {"operators": [{"id": "first", "duration": 0.0}]})
    return None


def apply(document: Document, edit: Edit) -> Document:
    """Return the document after one edit.

    Parameters
    ----------
    document : dict
        A native document; not changed.
    edit : mapping
        ``do`` names what to do: ``add`` (``table``, ``row``), ``set`` (``table``, ``id``,
        ``fields``; None takes a field away), ``delete`` (``rows`` by table, ``edges`` as pairs of
        tensor and consumer), ``connect`` (``source``, ``target``, ``tensor``), ``settings``
        (``fields`` of the problem) or ``links`` (``links`` as in the file).

    Raises
    ------
    InputError
        If the edit names something that does not exist. Whether the result is a sound problem
        is for :func:`checked` to say.
    """
    try:
        action = _ACTIONS[edit["do"]]
        return action(document, edit)
    except PlannerError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError):
        raise InputError("this edit cannot be read; reload the page and try again") from None


def table(document: Document, name: str) -> list[Row]:
    """Rows of one table; no links where the document has one default for all."""
    if name not in TABLES:
        raise KeyError(name)
    rows = (document["cluster"] if name in ("devices", "links") else document).get(name) or []
    return rows if isinstance(rows, list) else []


def free_name(taken: Iterable[str], stem: str) -> str:
    """Return the first of stem0, stem1, … that is not taken."""
    used = set(taken)
    return next(name for i in itertools.count() if (name := f"{stem}{i}") not in used)


def _with_table(document: Document, name: str, rows: list[Row]) -> Document:
    if name in ("devices", "links"):
        return document | {"cluster": document["cluster"] | {name: rows}}
    return document | {name: rows}


def _identity(name: str, row: Row) -> Any:
    """What tells a row from the others: its id, or the two ends of a link."""
    return (row["source"], row["target"]) if name == "links" else row["id"]


def _add(document: Document, edit: Edit) -> Document:
    row = _merged({}, edit["row"])
    return _with_table(document, edit["table"], [*table(document, edit["table"]), row])


def _set(document: Document, edit: Edit) -> Document:
    name, key = edit["table"], edit["id"]
    key = tuple(key) if name == "links" else key
    rows = list(table(document, name))
    at = next((i for i, row in enumerate(rows) if _identity(name, row) == key), None)
    if at is None:
        raise InputError(f"'{key}' is no longer there; nothing was changed")
    before = rows[at]
    rows[at] = _merged(before, edit["fields"])
    document = _with_table(document, name, rows)
    if name == "links" or rows[at].get("id") == before["id"]:
        return document
    new = rows[at].get("id")
    if any(row["id"] == new for i, row in enumerate(rows) if i != at):
        word = name.removesuffix("s").replace("_", " ")
        raise InputError(f"{word} '{new}' is there already; choose another id")
    return _renamed(document, name, before["id"], new)


def _merged(row: Row, fields: Mapping[str, Any]) -> Row:
    """Set fields; a field that is None or empty goes away and so gets its default."""
    merged = row | dict(fields)
    return {
        key: value
        for key, value in merged.items()
        if key in ("id", "duration", "consumers") or (value is not None and value not in ("", []))
    }


def _renamed(document: Document, name: str, old: str, new: Any) -> Document:
    """Let everything that names a row by its old id name it by the new one."""

    def swap(value: Any) -> Any:
        if isinstance(value, list):
            return [new if item == old else item for item in value]
        return new if value == old else value

    return _mentions(document, name, swap)


def _mentions(document: Document, name: str, change: Callable[[Any], Any]) -> Document:
    """Change every field that names rows of a table."""
    places = {
        "operators": (("tensors", ("producer", "consumers")),),
        "parameter_groups": (("operators", ("parameters",)),),
        "devices": (("operators", ("devices",)), ("links", ("source", "target"))),
    }.get(name, ())
    for other, fields in places:
        rows = [
            row | {field: change(row[field]) for field in fields if field in row}
            for row in table(document, other)
        ]
        if rows:
            document = _with_table(document, other, rows)
    return document


def _delete(document: Document, edit: Edit) -> Document:
    for tensor, consumer in edit.get("edges", ()):
        document = _cut(document, lambda row, t=tensor: row["id"] == t, {consumer})
    for name, keys in edit.get("rows", {}).items():
        gone = {tuple(key) if name == "links" else key for key in keys}
        rows = [row for row in table(document, name) if _identity(name, row) not in gone]
        document = _with_table(document, name, rows)
        if name == "operators":
            document = _cut(document, lambda row: True, gone)
            tensors = [row for row in document["tensors"] if row["producer"] not in gone]
            document = document | {"tensors": tensors}
        elif name in ("devices", "parameter_groups"):
            document = _without(document, name, gone)
    return document


def _cut(document: Document, chosen: Callable[[Row], bool], consumers: set[str]) -> Document:
    """Take consumers from tensors; a tensor that loses its last one goes, unless an output."""
    rows = []
    for row in document["tensors"]:
        kept = [name for name in row.get("consumers", ()) if name not in consumers]
        if not chosen(row) or len(kept) == len(row.get("consumers", ())):
            rows.append(row)
        elif kept or row.get("output"):
            rows.append(row | {"consumers": kept})
    return document | {"tensors": rows}


def _without(document: Document, name: str, gone: set[str]) -> Document:
    """Take deleted devices or parameter groups from the operators and links that name them."""
    field = "devices" if name == "devices" else "parameters"
    rows = []
    for row in document["operators"]:
        kept = [item for item in row.get(field, ()) if item not in gone]
        if len(kept) == len(row.get(field, ())):
            rows.append(row)
            continue
        if not kept and name == "devices":
            raise InputError(
                f"operator '{row['id']}' may run on no other device than "
                f"'{row[field][0]}'; give it another one first"
            )
        rows.append({k: v for k, v in row.items() if k != field} | ({field: kept} if kept else {}))
    document = document | {"operators": rows}
    links = table(document, "links")
    if name == "devices" and links:
        kept_links = [
            row for row in links if row["source"] not in gone and row["target"] not in gone
        ]
        document = _with_table(document, "links", kept_links)
    return document


def _connect(document: Document, edit: Edit) -> Document:
    source, target, name = edit["source"], edit["target"], edit["tensor"]
    rows = list(document["tensors"])
    at = next((i for i, row in enumerate(rows) if row["id"] == name), None)
    if at is None:
        rows.append({"id": name, "producer": source, "consumers": [target]})
    elif rows[at]["producer"] == source:
        rows[at] = rows[at] | {"consumers": [*rows[at].get("consumers", ()), target]}
    else:
        raise InputError(f"tensor '{name}' is there already; choose another id")
    return document | {"tensors": rows}


def _settings(document: Document, edit: Edit) -> Document:
    return document | {key: edit["fields"][key] for key in _SETTINGS if key in edit["fields"]}


def _links(document: Document, edit: Edit) -> Document:
    return document | {"cluster": document["cluster"] | {"links": edit["links"]}}


_ACTIONS: dict[str, Callable[[Document, Edit], Document]] = {
    "add": _add,
    "set": _set,
    "delete": _delete,
    "connect": _connect,
    "settings": _settings,
    "links": _links,
}
