"""Tables: a zip that carries a whole problem, or one CSV file of its operators."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import Any

from planner_core.formats.json_text import PathLike, writing
from planner_core.formats.native import problem_document
from planner_core.formats.records import flat_operator, listed, plain
from planner_core.problem import InputError, Problem

Row = dict[str, Any]

_LONGEST_CELL = 131_072
"""Characters of a cell that Python's csv module reads."""

_FIRST_DAY = (1980, 1, 1, 0, 0, 0)
"""Date of the tables in a zip: equal problems make equal files."""


def write_problem(problem: Problem, path: PathLike) -> tuple[str, ...]:
    """Write a problem as tables.

    Parameters
    ----------
    problem : Problem
    path : path
        ``.zip``: tables of operators, tensors, groups, devices, links and settings, which carry
        everything. Any other ending: one table of operators, with the columns ``inputs`` and
        ``output_size``.

    Returns
    -------
    tuple of str
        What the single table has no place for.

    Raises
    ------
    InputError
        If a name cannot stand in a table, or the file cannot be written.
    """
    document = problem_document(problem)
    if PurePath(path).suffix.lower() != ".zip":
        table, left_out = _single(document)
        with writing(path):
            Path(path).write_bytes(table)
        return left_out
    with writing(path), zipfile.ZipFile(path, "w") as archive:
        for name, rows, columns in _tables(document):
            entry = zipfile.ZipInfo(f"{name}.csv", _FIRST_DAY)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, _csv(rows, columns))
    return ()


def _tables(document: Row) -> Iterable[tuple[str, list[Row], Sequence[str]]]:
    """Yield name, rows and the columns that are there even if no row has them."""
    operators = [
        {"id": plain(row["id"], "operator"), **flat_operator(row)} for row in document["operators"]
    ]
    yield "operators", operators, ("id",)
    tensors = [
        row
        | {
            "id": plain(row["id"], "tensor"),
            "consumers": listed(row["consumers"], f"a consumer of tensor '{row['id']}',"),
        }
        for row in document["tensors"]
    ]
    yield "tensors", tensors, ("id", "producer", "consumers")
    groups = document["parameter_groups"]
    for row in groups:
        listed([row["id"]], "parameter group")
    yield "parameter_groups", groups, ("id", "size")
    cluster = document["cluster"]
    for row in cluster["devices"]:
        plain(row["id"], "device")
        plain(row.get("type") or "-", "device type")
    yield "devices", cluster["devices"], ("id",)
    links = cluster.get("links", {"default": {}})
    if isinstance(links, dict):
        ids = [row["id"] for row in cluster["devices"]]
        pairs = [(a, b) for a in ids for b in ids if a != b]
        links = [{"source": a, "target": b, **links["default"]} for a, b in pairs]
    yield "links", links, ("source", "target")
    yield "problem", [_settings(document)], ()


def _settings(document: Row) -> Row:
    """Return the row of the table ``problem``."""
    keys = ("name", "time_unit", "memory_unit")
    row = {key: plain(document[key], key) for key in keys}
    row["micro_batches"] = document.get("micro_batches", 1)
    row["transfers"] = document["cluster"].get("transfers", "overlapped")
    measures = document["objective"]["minimize"]
    row["minimize"] = measures if isinstance(measures, str) else ";".join(measures)
    budgets = document["objective"].get("subject_to", {})
    row["subject_to"] = ";".join(f"{measure}={limit!r}" for measure, limit in budgets.items())
    return row


def _single(document: Row) -> tuple[bytes, tuple[str, ...]]:
    """Return the table of operators, and what it has no place for."""
    inputs: dict[str, list[str]] = {}
    made: dict[str, list[Row]] = {}
    for tensor in document["tensors"]:
        made.setdefault(tensor["producer"], []).append(tensor)
        for consumer in tensor["consumers"]:
            inputs.setdefault(consumer, []).append(tensor["producer"])
    size = {group["id"]: group["size"] for group in document["parameter_groups"]}
    held = [name for row in document["operators"] for name in row.get("parameters", ())]
    rows = []
    for record in document["operators"]:
        name = record["id"]
        row = {"id": plain(name, "operator"), **flat_operator(record)}
        if "parameters" in row:
            row["parameters"] = sum(size[group] for group in record["parameters"])
        row["inputs"] = listed(list(dict.fromkeys(inputs.get(name, ()))), f"an input of '{name}',")
        row["output_size"] = sum(tensor.get("size", 0.0) for tensor in made.get(name, ()))
        rows.append(row)
    left_out = ["the cluster", "the objective", "names of tensors and parameter groups"]
    if len(set(held)) < len(held):
        left_out.append("which operators share parameters")
    if any(len(tensors) > 1 for tensors in made.values()):
        left_out.append("several tensors of one operator (their sizes are added up)")
    if any(not row["consumers"] for row in document["tensors"]):
        left_out.append("tensors that nobody consumes")
    if any("transfer" in row or "output" in row for row in document["tensors"]):
        left_out.append("fixed transfer times and output marks")
    if document.get("micro_batches", 1) > 1:
        left_out.append("the number of micro-batches")
    return _csv(rows, ("id", "duration", "inputs")).encode(), tuple(left_out)


def _csv(rows: list[Row], columns: Sequence[str]) -> str:
    """Return rows as text; a column per key, the named ones first."""
    header = list(dict.fromkeys([*columns, *(key for row in rows for key in row)]))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        cells = [_cell(row.get(key)) for key in header]
        longest = max(map(len, cells))
        if longest > _LONGEST_CELL:
            raise InputError(
                f"a cell of '{row.get('id')}' would have {longest} characters, more than CSV "
                f"readers take ({_LONGEST_CELL}); write a .json file"
            )
        writer.writerow(cells)
    return out.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    return "true" if value is True else str(value)
