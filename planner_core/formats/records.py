"""Turn tables of text (CSV, GraphML, DOT) into a native document, so one validator checks all."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
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

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


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


def operator_record(
    name: str, fields: Mapping[str, object], groups: Collection[str] = ()
) -> tuple[Row, Row | None]:
    """Return the native record of an operator and of the parameter group it has to itself.

    Parameters
    ----------
    name : str
    fields : mapping of str to text
        ``duration`` (or one of :data:`TIME_NAMES`), ``duration <type>`` per device type,
        ``kind``, ``stage``, ``micro_batch``, ``devices``, ``stream``, ``workspace``,
        ``colocate``, ``parameters`` (names of groups, or the size of one of its own). Empty
        fields and others are passed over.
    groups : collection of str
        Parameter groups that are known already: their names are not taken for sizes.

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
        used = names(given["parameters"])
        own = None if used[0] in groups else _float(used)
        if own is None:
            row["parameters"] = used
        else:
            group = {"id": f"weights of {name}", "size": number(own, where, "parameters")}
            row["parameters"] = [group["id"]]
    return row, group


def _float(words: list[str]) -> float | None:
    """Return the number that a single word is, or None."""
    try:
        return float(words[0]) if len(words) == 1 else None
    except ValueError:
        return None


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
        output = str(fields.get("output", "")).strip()
        row = rows.get(place)
        if row is None:
            row = {"id": named, "producer": source, "consumers": [], "size": size}
            if transfer is not None:
                row["transfer"] = transfer
            rows[place] = row
        elif (row["size"], row.get("transfer")) != (size, transfer):
            raise InputError(f"{where} gives tensor '{named}' another size or transfer; give one")
        if output and true_or_false(output, where, "output"):
            row["output"] = True
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
    rest: Row | None = None,
    name: str,
    devices: int = DEVICES,
) -> Problem:
    """Return the checked problem of native records.

    Parameters
    ----------
    operators, tensors, groups : lists of native records
    rest : native document, optional
        What else the file says. A cluster it does not describe is ``devices`` like devices with
        free links, of the types the durations name.
    name : str
    devices : int

    Raises
    ------
    InputError
        As for a native file.
    """
    document = {"format": PROBLEM_FORMAT, "name": name, **(rest or {})}
    document.setdefault("cluster", _assumed_cluster(operators, devices))
    document["operators"] = operators
    document["tensors"] = [*tensors, *document.get("tensors", ())]
    document["parameter_groups"] = [*document.get("parameter_groups", ()), *groups]
    return problem_from_document(document)


def _assumed_cluster(operators: list[Row], devices: int) -> Row:
    types: dict[str, None] = {}
    for row in operators:
        if isinstance(row["duration"], dict):
            types.update(dict.fromkeys(row["duration"]))
    kinds: list[str | None] = [*types] or [None]
    listed = {name for row in operators for name in row.get("devices", ())}
    ids = sorted(listed) or [f"gpu{k}" for k in range(devices)]
    return {
        "devices": [
            {"id": device} | ({"type": kind} if kind else {})
            for device, kind in zip(ids, kinds * len(ids), strict=False)
        ]
    }


def flat_operator(row: Row) -> Row:
    """Return a native operator record as :func:`operator_record` reads it, without its id.

    Raises
    ------
    InputError
        If a name cannot stand in a table or graph file.
    """
    where = f"operator '{row['id']}'"
    flat: Row = {}
    for key, value in row.items():
        if key == "id":
            continue
        if isinstance(value, dict):
            for kind, time in value.items():
                flat[f"duration {plain(kind, 'device type')}"] = time
        elif isinstance(value, list):
            flat[key] = listed(value, f"{key} of {where}")
        else:
            flat[key] = plain(value, f"{key} of {where}") if isinstance(value, str) else value
    return flat


def plain(name: str, what: str) -> str:
    """Return a name that tables and graph files give back as it is.

    Raises
    ------
    InputError
        If it begins or ends with white space, is "None" or holds a character that XML does not
        know.
    """
    if name != name.strip() or name in ("", "None") or _UNPRINTABLE.search(name):
        raise InputError(
            f"{what} '{name[:60]}' cannot be written here: names must not begin or end with "
            "white space, be 'None' or hold control characters; rename it or write a .json file"
        )
    return name


def listed(values: Iterable[str], what: str) -> str:
    """Return names as the list separated by semicolons that :func:`names` reads.

    Raises
    ------
    InputError
        If a name cannot stand in such a list.
    """
    for name in values:
        if ";" in plain(name, what):
            raise InputError(
                f"{what} '{name[:60]}' cannot be written here: in lists of names, semicolons "
                "separate them; rename it or write a .json file"
            )
    return ";".join(values)
