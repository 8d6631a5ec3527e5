"""Tables that edit the graph: what they show, and the edits that typing in them means."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from pages.components.editor.edits import Document, Edit, Row, table
from planner_core.problem import COMPUTE, KINDS

MOST_ROWS = 2000
"""Rows a table lets one edit; a larger graph is edited by its beginning."""

COLUMNS: dict[str, tuple[str, ...]] = {
    "operators": ("id", "kind", "duration", "stage", "stream", "workspace", "devices", "parameters",
                  "colocate"),
    "tensors": ("id", "producer", "consumers", "size", "transfer", "output"),
    "parameter_groups": ("id", "size"),
    "devices": ("id", "type", "memory", "speed", "host"),
    "links": ("source", "target", "latency", "bandwidth", "exclusive"),
}  # fmt: skip
"""Columns of each table, named as in the file."""

_NEEDED = {
    "operators": ("id", "duration"),
    "tensors": ("id", "producer"),
    "parameter_groups": ("id",),
    "devices": ("id",),
    "links": ("source", "target"),
}
"""A row that was added counts once these are filled in."""

_LISTS = ("devices", "parameters", "consumers")
_TRUTHS = ("output", "host", "exclusive")
_NUMBERS = ("duration", "workspace", "size", "transfer", "memory", "speed", "latency", "bandwidth")
_DEFAULTS: Row = {"kind": "other", "stream": COMPUTE, "workspace": 0.0, "size": 0.0, "speed": 1.0,
                  "latency": 0.0}  # fmt: skip


def frame(document: Document, name: str) -> pd.DataFrame:
    """Return a table of the document: one column a field, missing ones at their defaults.

    Durations per device type have a column each (``duration H100``).
    """
    rows = table(document, name)[:MOST_ROWS]
    columns: dict[str, Any] = {}
    for column in COLUMNS[name]:
        values = [row.get(column, _DEFAULTS.get(column)) for row in rows]
        if name == "operators" and column == "duration":
            types = _types(document)
            columns[column] = _numbers([None if isinstance(v, dict) else v for v in values])
            for key in types:
                columns[f"duration {key}"] = _numbers(
                    [v.get(key) if isinstance(v, dict) else None for v in values]
                )
        elif column in _NUMBERS:
            columns[column] = _numbers(values)
        elif column == "stage":
            columns[column] = pd.array(values, dtype="Int64")
        elif column in _TRUTHS:
            columns[column] = pd.array([bool(v) for v in values], dtype="bool")
        elif column in _LISTS:
            columns[column] = pd.Series([", ".join(v or ()) for v in values], dtype="str")
        else:
            columns[column] = pd.Series(values, dtype="object").astype("string")
    return pd.DataFrame(columns)


def column_settings(document: Document, name: str, units: tuple[str, str]) -> dict[str, Any]:
    """Return how the columns of a table are edited; ``units`` of time and memory."""
    time, memory = units
    number = st.column_config.NumberColumn
    text = st.column_config.TextColumn
    choice = st.column_config.SelectboxColumn
    operators = [row["id"] for row in document["operators"]][:MOST_ROWS]
    devices = [row["id"] for row in table(document, "devices")]
    common: dict[str, Any] = {
        "id": text("id", required=True),
        "kind": choice("kind", options=list(KINDS), default="other"),
        "duration": number(f"duration ({time})", default=1.0, format="%.6g"),
        "stage": number("stage", step=1, help="Pipeline stage; empty for none."),
        "stream": text("stream", default=COMPUTE, help="Operators of one stream never overlap."),
        "workspace": number(f"workspace ({memory})", help="Memory in use while it runs."),
        "devices": text("devices", help="Where it may run, separated by commas; empty: anywhere."),
        "parameters": text("parameters", help="Parameter groups it uses, separated by commas."),
        "colocate": text("colocate", help="Operators of one group share a device."),
        "producer": choice("producer", options=operators, required=True),
        "consumers": text("consumers", help="Operators that consume it, separated by commas."),
        "size": number(f"size ({memory})", default=0.0, format="%.6g"),
        "transfer": number(f"transfer ({time})", help="Fixed; empty: latency + size / bandwidth."),
        "output": st.column_config.CheckboxColumn("output", help="Kept to the end."),
        "type": text("type", help="Operators may give a duration per type."),
        "memory": number(f"memory ({memory})", help="Limit; empty: unlimited.", format="%.6g"),
        "speed": number("speed", default=1.0, help="Durations are divided by it.", format="%.6g"),
        "host": st.column_config.CheckboxColumn("host", help="Pays nothing for staged transfers."),
        "source": choice("source", options=devices, required=True),
        "target": choice("target", options=devices, required=True),
        "latency": number(f"latency ({time})", default=0.0, format="%.6g"),
        "bandwidth": number(f"bandwidth ({memory}/{time})", help="Empty: infinite.", format="%.6g"),
        "exclusive": st.column_config.CheckboxColumn("exclusive", help="One transfer at a time."),
    }
    common |= {
        f"duration {key}": number(f"duration on {key} ({time})", format="%.6g")
        for key in _types(document)
    }
    if name == "operators":
        common["duration"] |= {"required": not _types(document)}
    return common


def edits_of(name: str, document: Document, typed: Mapping[str, Any]) -> list[Edit]:
    """Return the edits that a table's changes mean.

    Parameters
    ----------
    name : str
        Which table.
    document : dict
        Document the table shows.
    typed : mapping
        ``edited_rows``, ``added_rows`` and ``deleted_rows`` as ``st.data_editor`` gives them.
    """
    rows = table(document, name)
    edits: list[Edit] = []
    for at, cells in typed.get("edited_rows", {}).items():
        row = rows[int(at)]
        edits.append({
            "do": "set",
            "table": name,
            "id": (row["source"], row["target"]) if name == "links" else row["id"],
            "fields": _fields(row, cells),
        })  # fmt: skip
    for cells in typed.get("added_rows", ()):
        fields = {key: value for key, value in _fields({}, cells).items() if value is not None}
        if all(fields.get(key) not in (None, "") for key in _NEEDED[name]):
            edits.append({"do": "add", "table": name, "row": fields})
    if typed.get("deleted_rows"):
        gone = [rows[at] for at in typed["deleted_rows"]]
        keys = [(r["source"], r["target"]) if name == "links" else r["id"] for r in gone]
        edits.insert(0, {"do": "delete", "rows": {name: keys}})
    return edits


def _fields(row: Row, cells: Mapping[str, Any]) -> Row:
    """Fields of the file that cells stand for; a cell at its default gives None."""
    fields: Row = {}
    by_type = row.get("duration")
    by_type = dict(by_type) if isinstance(by_type, dict) else {}
    for column, value in cells.items():
        if isinstance(value, float) and math.isnan(value):
            value = None
        if column.startswith("duration "):
            by_type[column[9:]] = value
            fields["duration"] = {k: v for k, v in by_type.items() if v is not None}
        elif column in _LISTS:
            names = [part.strip() for part in str(value or "").split(",")]
            fields[column] = [part for part in names if part]
        elif column == "stage":
            fields[column] = None if value is None else int(value)
        elif column in _TRUTHS:
            fields[column] = True if value else None
        elif column in _DEFAULTS and value == _DEFAULTS[column]:
            fields[column] = None
        else:
            fields[column] = value.strip() if isinstance(value, str) else value
    return fields


def _types(document: Document) -> list[str]:
    """Device types that operators give durations for, and those of the devices beside them."""
    named: dict[str, None] = {}
    for row in document["operators"]:
        if isinstance(row["duration"], dict):
            named |= dict.fromkeys(row["duration"])
    return list(named)


def _numbers(values: list[Any]) -> pd.Series:
    return pd.Series(values, dtype="float64")
