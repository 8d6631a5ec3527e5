"""Tables: one CSV file of operators, or a zip of operators, tensors, devices and links.

Reading; :mod:`planner_core.formats.csv_writer` writes them.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from typing import Any

from planner_core.formats.json_text import UPLOAD_LIMIT, check_size
from planner_core.formats.records import (
    TIME_NAMES,
    names,
    number,
    operator_record,
    problem_of,
    tensors_of_edges,
    true_or_false,
    whole,
)
from planner_core.problem import InputError, Problem

TABLES = ("operators", "edges", "tensors", "parameter_groups", "devices", "links", "problem")
"""Names of the tables of a zip; only ``operators.csv`` must be there."""

_REQUIRED = {
    "edges": ("source", "target"),
    "links": ("source", "target"),
    "tensors": ("id", "producer"),
    "problem": (),
}

_ZIP = b"PK\x03\x04"

Row = dict[str, str]


def sniff(data: bytes) -> bool:
    """Whether a file is a zip with operators.csv, or its first line names id and a duration."""
    if data.startswith(_ZIP):
        return b"operators.csv" in data
    head = data[:65536].removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0]
    columns = {
        part.strip().strip(b'"').lower()
        for separator in (b",", b";", b"\t")
        for part in head.split(separator)
    }
    times = {name.encode() for name in TIME_NAMES}
    timed = bool(columns & times) or any(c.startswith(b"duration") for c in columns)
    return b"id" in columns and timed


def parse_problem(data: bytes, max_bytes: int = UPLOAD_LIMIT) -> Problem:
    """Return the problem of a table of operators or of a zip of tables.

    ``operators.csv`` has the columns ``id`` and ``duration`` (or ``duration <type>`` per device
    type), and may have ``kind``, ``stage``, ``micro_batch``, ``devices``, ``parameters``
    (names of groups separated by semicolons, or the size of a group of its own), ``stream``,
    ``workspace``, ``colocate``, ``inputs`` (ids of operators separated by semicolons) and
    ``output_size`` (size of what the operator makes). In a zip, edges may instead stand in
    ``edges.csv`` (``source, target, size, transfer, tensor``) or ``tensors.csv`` (``id,
    producer, consumers, size, transfer, output``); ``parameter_groups.csv`` has ``id, size``,
    ``devices.csv`` ``id, type, memory, speed, host``, ``links.csv`` ``source, target, latency,
    bandwidth, exclusive``, and the single row of ``problem.csv`` ``name, time_unit, memory_unit,
    micro_batches, transfers, minimize, subject_to`` (measures separated by semicolons, budgets as
    ``makespan=70``). Columns are separated by commas, semicolons or tabs.

    Parameters
    ----------
    data : bytes
        UTF-8.
    max_bytes : int
        Largest content accepted, unpacked.

    Raises
    ------
    InputError
        One sentence that names the table, the row and what to change.
    """
    check_size(len(data), max_bytes)
    tables = _unzip(data, max_bytes) if data.startswith(_ZIP) else {"operators": data}
    rows = {name: list(_rows(table, name)) for name, table in tables.items()}
    operators: list[dict[str, Any]] = []
    groups = [
        {"id": row["id"], "size": number(row.get("size") or 0, f"group '{row['id']}'", "size")}
        for row in rows.get("parameter_groups", ())
    ]
    known = {str(group["id"]) for group in groups}
    for row in rows["operators"]:
        record, group = operator_record(row["id"], row, known)
        operators.append(record)
        if group is not None:
            groups.append(group)
    ways: list[str] = [f"{name}.csv" for name in ("edges", "tensors") if name in rows]
    if any(row.get("inputs") for row in rows["operators"]):
        ways.append("the column inputs")
    if len(ways) > 1:
        raise InputError(f"edges are given twice, by {' and by '.join(ways)}; keep one")
    if "tensors" in rows:
        tensors = [_tensor(row) for row in rows["tensors"]]
    elif "edges" in rows:
        tensors = tensors_of_edges((row["source"], row["target"], row) for row in rows["edges"])
    else:
        tensors = tensors_of_edges(_inputs(rows["operators"]))
    return problem_of(operators, tensors, groups, rest=_rest(rows), name="tables")


def _unzip(data: bytes, max_bytes: int) -> dict[str, bytes]:
    tables: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                name = member.filename.rsplit("/", 1)[-1].removesuffix(".csv")
                if name not in TABLES or not member.filename.endswith(".csv"):
                    continue
                if name in tables:
                    raise InputError(f"the zip holds {name}.csv twice; keep one")
                check_size(member.file_size + sum(map(len, tables.values())), max_bytes)
                with archive.open(member) as stream:
                    tables[name] = stream.read(member.file_size + 1)
                # The size above is what the archive claims.
                check_size(sum(map(len, tables.values())), max_bytes)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError) as error:
        raise InputError(f"the zip cannot be read: {str(error)[:200]}") from None
    except Exception as error:  # damaged data: the decompressors have errors of their own
        if isinstance(error, InputError):
            raise
        raise InputError(f"the zip is damaged: {str(error)[:200]}") from None
    if "operators" not in tables:
        raise InputError("the zip holds no operators.csv; add it")
    return tables


def _rows(table: bytes, name: str) -> Iterator[Row]:
    """Yield the rows of a table as column → text; blank rows are passed over."""
    try:
        text = table.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"the table {name} is not UTF-8; save it as UTF-8") from None
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        # Names of columns are lower case, but device types keep their capitals.
        header = [
            column if column.lower().startswith("duration ") else column.lower()
            for column in map(str.strip, next(reader, []))
        ]
        if len(set(header)) < len(header):
            raise InputError(f"the table {name} names a column twice; name each once")
        required = _REQUIRED.get(name, ("id",))
        for column in required:
            if column not in header:
                raise InputError(f"the table {name} has no column {column}; add it")
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) > len(header):
                raise InputError(
                    f"line {reader.line_num} of the table {name} has {len(cells)} cells; the "
                    f"header has {len(header)}"
                )
            row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
            for column in required:
                if not row.get(column):
                    raise InputError(
                        f"line {reader.line_num} of the table {name} has no {column}; fill it in"
                    )
            yield row
    except csv.Error as error:
        raise InputError(f"the table {name} is not CSV: {str(error)[:200]}") from None


def _inputs(operators: list[Row]) -> Iterator[tuple[str, str, dict[str, object]]]:
    """Yield the edges that the column ``inputs`` names; each producer makes one tensor."""
    size = {row["id"]: row.get("output_size", "") for row in operators}
    for row in operators:
        for source in names(row.get("inputs", "")):
            yield source, row["id"], {"size": size.get(source, "")}


def _tensor(row: Row) -> dict[str, Any]:
    where = f"tensor '{row['id']}'"
    record: dict[str, Any] = {
        "id": row["id"],
        "producer": row["producer"],
        "consumers": names(row.get("consumers", "")),
        "size": number(row.get("size") or 0, where, "size"),
    }
    if row.get("transfer"):
        record["transfer"] = number(row["transfer"], where, "transfer")
    if row.get("output"):
        record["output"] = true_or_false(row["output"], where, "output")
    return record


def _rest(rows: dict[str, list[Row]]) -> dict[str, Any]:
    """Return the rest of the native document: cluster, units, micro-batches, objective."""
    rest: dict[str, Any] = {}
    if len(rows.get("problem", ())) > 1:
        raise InputError("the table problem has several rows; keep one")
    settings = rows["problem"][0] if rows.get("problem") else {}
    for key in ("name", "time_unit", "memory_unit"):
        if settings.get(key):
            rest[key] = settings[key]
    if settings.get("micro_batches"):
        rest["micro_batches"] = whole(
            settings["micro_batches"], "the table problem", "micro_batches"
        )
    objective: dict[str, Any] = {}
    if settings.get("minimize"):
        objective["minimize"] = names(settings["minimize"])
    for budget in names(settings.get("subject_to", "")):
        measure, _, limit = budget.partition("=")
        budgets = objective.setdefault("subject_to", {})
        budgets[measure.strip()] = number(limit, "the table problem", f"budget {measure.strip()}")
    if objective:
        rest["objective"] = objective
    if "devices" in rows:
        rest["cluster"] = _cluster(rows)
        if settings.get("transfers"):
            rest["cluster"]["transfers"] = settings["transfers"]
    elif "links" in rows:
        raise InputError("the zip holds links.csv without devices.csv; add the devices")
    return rest


def _cluster(rows: dict[str, list[Row]]) -> dict[str, Any]:
    devices: list[dict[str, Any]] = []
    for row in rows["devices"]:
        where = f"device '{row['id']}'"
        record: dict[str, Any] = {"id": row["id"]}
        if row.get("type"):
            record["type"] = row["type"]
        for key in ("memory", "speed"):
            if row.get(key):
                record[key] = number(row[key], where, key)
        if row.get("host"):
            record["host"] = true_or_false(row["host"], where, "host")
        devices.append(record)
    cluster: dict[str, Any] = {"devices": devices}
    if "links" in rows:
        cluster["links"] = [_link(row) for row in rows["links"]]
    return cluster


def _link(row: Row) -> dict[str, Any]:
    where = f"the link from '{row['source']}' to '{row['target']}'"
    record: dict[str, Any] = {"source": row["source"], "target": row["target"]}
    for key in ("latency", "bandwidth"):
        if row.get(key):
            record[key] = number(row[key], where, key)
    if row.get("exclusive"):
        record["exclusive"] = true_or_false(row["exclusive"], where, "exclusive")
    return record
