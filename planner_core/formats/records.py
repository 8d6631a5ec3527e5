"""Turn tables of text (CSV, GraphML, DOT) into a native document, so one validator checks all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from planner_core.formats.native import problem_from_document
from planner_core.formats.schema import PROBLEM_FORMAT
from planner_core.problem import InputError, Problem

Row = dict[str, Any]

TIME_NAMES = ("duration", "time", "cost", "weight")
"""Names under which files give an operator's duration; the first one present counts."""

SIZE_NAMES = ("size", "bytes", "data", "weight")
"""Names under which files give an edge's size."""

DEVICES = 4
"""Devices assumed where a file describes none."""


def number(text: object, where: str, column: str) -> float:
    """Return a finite number written as text; InputError names what is wrong."""
    try:
        value = float(str(text).strip())
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where} has {column} '{str(text)[:60]}'; it must be a finite number")
    return value


def whole(text: object, where: str, column: str) -> int:
    """Return a whole number written as text; InputError names what is wrong."""
    value = number(text, where, column)
    if not value.is_integer():
        raise InputError(f"{where} has {column} '{str(text)[:60]}'; it must be a whole number")
    return int(value)


def true_or_false(text: object, where: str, column: str) -> bool:
    """Return yes or no written as text; InputError names what is wrong."""
    word = str(text).strip().lower()
    if word in ("true", "yes", "1", "1.0"):
        return True
    if word in ("false", "no", "0", "0.0", ""):
        return False
    raise InputError(f"{where} has {column} '{word[:60]}'; write true or false")


def names(text: object) -> list[str]:
    """Return the names of a list separated by semicolons."""
    return [part.strip() for part in str(text).split(";") if part.strip()]


def operator_record(name: str, fields: Mapping[str, object]) -> tuple[Row, Row | None]:
    """Return the native record of an operator and of the parameter group it has to itself.

    Parameters
    ----------
    name : str
    fields : mapping of str to text
        ``duration`` (or one of :data:`TIME_NAMES`), ``duration <type>`` per device type,
        ``kind``, ``stage``, ``micro_batch``, ``devices``, ``stream``, ``workspace``,
        ``colocate``, ``parameters`` (names of groups, or the size of one of its own). Empty
        fields and others are passed over.

    Raises
    ------
    InputError
        If it has no duration or a field cannot be read.
    """
    where = f"operator '{name}'"
    given = {key: value for key, value in fields.items() if str(value).strip() not in ("", "None")}
    by_type = {
        key[9:].strip(): number(value, where, key)
        for key, value in given.items()
        if key.startswith(("duration ", "duration_")) and len(key) > 9
    }
    time = next((key for key in TIME_NAMES if key in given), None)
    if not by_type and time is None:
        raise InputError(f"{where} has no duration; add it")
    row: Row = {"id": name}
    row["duration"] = by_type if by_type else number(given[str(time)], where, str(time))
    for key in ("kind", "stream", "colocate"):
        if key in given:
            row[key] = str(given[key]).strip()
    for key in ("stage", "micro_batch"):
        if key in given:
            row[key] = whole(given[key], where, key)
    if "workspace" in given:
        row["workspace"] = number(given["workspace"], where, "workspace")
    if "devices" in given:
        row["devices"] = names(given["devices"])
    group: Row | None = None
    if "parameters" in given:
        try:
            own = float(str(given["parameters"]))
        except ValueError:
            row["parameters"] = names(given["parameters"])
        else:
            group = {"id": f"weights of {name}", "size": number(own, where, "parameters")}
            row["parameters"] = [group["id"]]
    return row, group


def tensors_of_edges(edges: Iterable[tuple[str, str, Mapping[str, object]]]) -> list[Row]:
    """Return tensors from edges (source, target, fields).

    Edges of one source with the same ``tensor`` name are one tensor. Without a name, those of
    equal size and transfer are: a source sends the same data to all its targets.

    Raises
    ------
    InputError
        If a field cannot be read, or edges of one tensor give different sizes.
    """
    rows: dict[tuple[object, ...], Row] = {}
    for source, target, fields in edges:
        where = f"the edge from '{source}' to '{target}'"
        key = next((k for k in SIZE_NAMES if str(fields.get(k, "")).strip()), None)
        size = 0.0 if key is None else number(fields[key], where, key)
        given = str(fields.get("transfer", "")).strip()
        transfer = number(given, where, "transfer") if given else None
        named = str(fields.get("tensor", "")).strip()
        place = (source, named) if named else (source, size, transfer)
        row = rows.get(place)
        if row is None:
            row = {"id": named, "producer": source, "consumers": [], "size": size}
            if transfer is not None:
                row["transfer"] = transfer
            rows[place] = row
        elif (row["size"], row.get("transfer")) != (size, transfer):
            raise InputError(f"{where} gives tensor '{named}' another size or transfer; give one")
        if target not in row["consumers"]:
            row["consumers"].append(target)
    tensors = list(rows.values())
    used = {row["id"] for row in tensors if row["id"]}
    for row in tensors:
        if not row["id"]:
            row["id"] = _free(f"from {row['producer']}", used)
            used.add(row["id"])
    return tensors


def _free(name: str, used: set[str]) -> str:
    number, candidate = 1, name
    while candidate in used:
        number += 1
        candidate = f"{name}.{number}"
    return candidate


def problem_of(
    operators: list[Row],
    tensors: list[Row],
    groups: list[Row],
    *,
    cluster: Row | None = None,
    name: str,
    devices: int = DEVICES,
) -> Problem:
    """Return the checked problem of native records.

    Parameters
    ----------
    operators, tensors, groups : lists of native records
    cluster : native record, optional
        Default ``devices`` like devices with free links, of the types the durations name.
    name : str
    devices : int

    Raises
    ------
    InputError
        As for a native file.
    """
    if cluster is None:
        types: dict[str, None] = {}
        for row in operators:
            if isinstance(row["duration"], dict):
                types.update(dict.fromkeys(row["duration"]))
        kinds: list[str | None] = [*types] or [None]
        listed = {name for row in operators for name in row.get("devices", ())}
        ids = sorted(listed) or [f"gpu{k}" for k in range(devices)]
        cluster = {
            "devices": [
                {"id": device} | ({"type": kind} if kind else {})
                for device, kind in zip(ids, kinds * len(ids), strict=False)
            ]
        }
    return problem_from_document(
        {
            "format": PROBLEM_FORMAT,
            "name": name,
            "operators": operators,
            "tensors": tensors,
            "parameter_groups": groups,
            "cluster": cluster,
        }
    )
