"""The native problem file (``parallelism-problem/1``)."""

from __future__ import annotations

from typing import Any

import numpy as np

from planner_core.formats.json_text import (
    FILE_LIMIT,
    UPLOAD_LIMIT,
    PathLike,
    dump_object,
    load_object,
    read_bytes,
    write_text,
)
from planner_core.formats.messages import validated
from planner_core.formats.schema import PROBLEM_FORMAT
from planner_core.problem import (
    COMPUTE,
    KINDS,
    Cluster,
    Graph,
    Objective,
    Problem,
    build_cluster,
    build_graph,
    check_problem,
)
from planner_core.problem.limits import check_counts


def sniff(data: bytes) -> bool:
    """Whether a file claims to be a native problem."""
    return data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and b"parallelism-problem/" in data


def parse_problem(data: str | bytes, max_bytes: int = UPLOAD_LIMIT) -> Problem:
    """Return the problem that the text of a native file describes, checked.

    Parameters
    ----------
    data : str or bytes
    max_bytes : int
        Largest text accepted.

    Raises
    ------
    InputError
        One sentence that names the item that is wrong and what to change.
    """
    return problem_from_document(load_object(data, max_bytes))


def read_problem(path: PathLike, max_bytes: int = FILE_LIMIT) -> Problem:
    """Read a native file; see :func:`parse_problem`."""
    return parse_problem(read_bytes(path, max_bytes), max_bytes)


def write_problem(problem: Problem, path: PathLike) -> tuple[str, ...]:
    """Write a problem as a native file, which carries everything.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    write_text(dump_object(problem_document(problem)), path)
    return ()


def problem_from_document(document: dict[str, Any]) -> Problem:
    """Return the problem that a native document (parsed JSON) describes, checked.

    Raises
    ------
    InputError
        One sentence that names the item that is wrong and what to change.
    """
    record = validated("problem", document)
    cluster = record["cluster"]
    micro_batches = record.get("micro_batches", 1)
    check_counts(len(cluster["devices"]), len(record["operators"]) * micro_batches)
    problem = Problem(
        template=build_graph(
            record["operators"], record.get("tensors", ()), record.get("parameter_groups", ())
        ),
        cluster=build_cluster(
            cluster["devices"], cluster.get("links"), cluster.get("transfers", "overlapped")
        ),
        micro_batches=micro_batches,
        objective=_objective(record.get("objective", {})),
        **{key: record[key] for key in ("name", "time_unit", "memory_unit") if key in record},
    )
    check_problem(problem)
    return problem


def problem_document(problem: Problem) -> dict[str, Any]:
    """Return the native document of a problem; defaults are left out.

    Returns
    -------
    dict
        Ready for JSON; reading it gives an equal problem.
    """
    graph = problem.template
    document: dict[str, Any] = {
        "format": PROBLEM_FORMAT,
        "name": problem.name,
        "time_unit": problem.time_unit,
        "memory_unit": problem.memory_unit,
    }
    if problem.micro_batches > 1:
        document["micro_batches"] = problem.micro_batches
    document["operators"] = _operators(graph)
    document["tensors"] = _tensors(graph)
    document["parameter_groups"] = [
        {"id": name, "size": size}
        for name, size in zip(graph.group_ids.tolist(), graph.group_size.tolist(), strict=True)
    ]
    document["cluster"] = cluster_document(problem.cluster)
    document["objective"] = objective_document(problem.objective)
    return document


def objective_document(objective: Objective) -> dict[str, Any]:
    """Return the ``objective`` of a native document."""
    several = len(objective.minimize) > 1
    document: dict[str, Any] = {
        "minimize": list(objective.minimize) if several else objective.primary
    }
    if objective.subject_to:
        document["subject_to"] = dict(objective.subject_to)
    return document


def _objective(record: dict[str, Any]) -> Objective:
    minimize = record.get("minimize", "makespan")
    return Objective(
        minimize=(minimize,) if isinstance(minimize, str) else tuple(minimize),
        subject_to=record.get("subject_to", {}),
    )


def _operators(graph: Graph) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    groups, group_ids = np.split(graph.parameter_index, graph.parameter_ptr[1:-1]), graph.group_ids
    columns = zip(
        graph.operator_ids.tolist(),
        graph.duration.tolist(),
        graph.kind.tolist(),
        graph.stage.tolist(),
        graph.micro_batch.tolist(),
        graph.device_set.tolist(),
        graph.stream.tolist(),
        graph.workspace.tolist(),
        graph.colocation.tolist(),
        groups,
        strict=True,
    )
    for o, (name, time, kind, stage, batch, devices, stream, space, colocation, used) in enumerate(
        columns
    ):
        row: dict[str, Any] = {"id": name, "duration": time}
        if time != time:  # NaN: given per device type
            row["duration"] = {
                device_type: value
                for device_type, value in zip(
                    graph.type_names, graph.duration_by_type[o].tolist(), strict=True
                )
                if value == value
            }
        if KINDS[kind] != "other":
            row["kind"] = KINDS[kind]
        if stage >= 0:
            row["stage"] = stage
        if batch >= 0:
            row["micro_batch"] = batch
        if devices >= 0:
            row["devices"] = list(graph.device_sets[devices])
        if len(used):
            row["parameters"] = group_ids[used].tolist()
        if graph.stream_names[stream] != COMPUTE:
            row["stream"] = graph.stream_names[stream]
        if space:
            row["workspace"] = space
        if colocation >= 0:
            row["colocate"] = graph.colocation_names[colocation]
        rows.append(row)
    return rows


def _tensors(graph: Graph) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    ptr, consumer_ids = graph.consumer_ptr.tolist(), graph.operator_ids[graph.consumer].tolist()
    columns = zip(
        graph.tensor_ids.tolist(),
        graph.operator_ids[graph.producer].tolist(),
        graph.size.tolist(),
        graph.transfer.tolist(),
        graph.is_output.tolist(),
        strict=True,
    )
    for t, (name, producer, size, transfer, output) in enumerate(columns):
        row = {"id": name, "producer": producer, "consumers": consumer_ids[ptr[t] : ptr[t + 1]]}
        if size:
            row["size"] = size
        if transfer == transfer:  # NaN: latency + size / bandwidth
            row["transfer"] = transfer
        if output:
            row["output"] = True
        rows.append(row)
    return rows


def cluster_document(cluster: Cluster) -> dict[str, Any]:
    """Return the ``cluster`` of a native document."""
    devices: list[dict[str, Any]] = []
    for k, name in enumerate(cluster.device_ids):
        row: dict[str, Any] = {"id": name}
        if cluster.device_types[k] is not None:
            row["type"] = cluster.device_types[k]
        if np.isfinite(cluster.memory[k]):
            row["memory"] = float(cluster.memory[k])
        if cluster.speed[k] != 1:
            row["speed"] = float(cluster.speed[k])
        if cluster.host[k]:
            row["host"] = True
        devices.append(row)
    document: dict[str, Any] = {"devices": devices}
    links = _links(cluster)
    if links != {"default": {}}:
        document["links"] = links
    if cluster.staged:
        document["transfers"] = "staged"
    return document


def _links(cluster: Cluster) -> list[dict[str, Any]] | dict[str, Any]:
    """Return one default if every pair is joined alike, else one row per link."""
    pairs = np.argwhere(cluster.has_link & ~np.eye(cluster.n_devices, dtype=bool)).tolist()
    rows = [
        _link(cluster.latency[a, b], cluster.bandwidth[a, b], cluster.exclusive[a, b])
        for a, b in pairs
    ]
    if len(pairs) == cluster.n_devices * (cluster.n_devices - 1) and all(
        row == rows[0] for row in rows
    ):
        return {"default": rows[0] if rows else {}}
    ids = cluster.device_ids
    return [
        {"source": ids[a], "target": ids[b], **row} for (a, b), row in zip(pairs, rows, strict=True)
    ]


def _link(latency: float, bandwidth: float, exclusive: bool) -> dict[str, Any]:
    row: dict[str, Any] = {}
    if latency:
        row["latency"] = float(latency)
    if np.isfinite(bandwidth):
        row["bandwidth"] = float(bandwidth)
    if exclusive:
        row["exclusive"] = True
    return row
