"""Build graphs and clusters from records (dictionaries with the native file's keys)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from planner_core.problem.cluster import Cluster
from planner_core.problem.errors import InputError
from planner_core.problem.graph import COMPUTE, KIND_CODE, KINDS, Graph, PtrArray

Record = Mapping[str, Any]


class _Numbering:
    """Gives each new name the next number, starting with the names it is told."""

    def __init__(self, *names: str) -> None:
        self.number = {name: i for i, name in enumerate(names)}

    def __call__(self, name: str | None) -> int:
        return -1 if name is None else self.number.setdefault(name, len(self.number))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.number)


def build_graph(
    operators: Sequence[Record],
    tensors: Sequence[Record] = (),
    parameter_groups: Sequence[Record] = (),
) -> Graph:
    """Build a graph from records with the keys of the native file.

    Parameters
    ----------
    operators : sequence of mappings
        ``id``, ``duration`` (number, or mapping of device type to number); optional ``kind``,
        ``stage``, ``micro_batch``, ``devices``, ``parameters``, ``stream``, ``workspace``,
        ``colocate``.
    tensors : sequence of mappings
        ``id``, ``producer``, ``consumers``; optional ``size``, ``transfer``, ``output``.
    parameter_groups : sequence of mappings
        ``id``, ``size``.

    Returns
    -------
    Graph
        Not yet checked; see :func:`planner_core.problem.checks.check_problem`.

    Raises
    ------
    InputError
        If an id is unknown, repeated or an operator's kind does not exist.
    """
    n = len(operators)
    operator_index = _index_of(operators, "operator")
    group_index = _index_of(parameter_groups, "parameter group")
    _index_of(tensors, "tensor")

    type_number, stream_number = _Numbering(), _Numbering(COMPUTE)
    colocation_number = _Numbering()
    set_number: dict[tuple[str, ...], int] = {}
    kind = np.empty(n, dtype=np.int8)
    duration = np.full(n, np.nan)
    by_type: list[tuple[int, int, float]] = []
    stream = np.zeros(n, dtype=np.int16)
    stage = np.full(n, -1, dtype=np.int32)
    micro_batch = np.full(n, -1, dtype=np.int32)
    workspace = np.zeros(n)
    colocation = np.full(n, -1, dtype=np.int32)
    device_set = np.full(n, -1, dtype=np.int32)
    used_groups: list[list[int]] = []
    for i, row in enumerate(operators):
        kind_name = row.get("kind", "other")
        if kind_name not in KIND_CODE:
            raise InputError(
                f"operator '{row['id']}' has kind '{kind_name}'; "
                f"it must be one of {', '.join(KINDS)}"
            )
        kind[i] = KIND_CODE[kind_name]
        given = row["duration"]
        if isinstance(given, Mapping):
            if not given:
                raise InputError(f"operator '{row['id']}' gives no duration; name a device type")
            what = f"operator '{row['id']}' has duration on"
            by_type.extend(
                (i, type_number(name), _finite(value, f"{what} {name}"))
                for name, value in given.items()
            )
        else:
            duration[i] = _finite(given, f"operator '{row['id']}' has duration")
        stream[i] = stream_number(row.get("stream") or COMPUTE)
        for column, key in ((stage, "stage"), (micro_batch, "micro_batch")):
            if row.get(key) is not None:
                column[i] = row[key]
        workspace[i] = row.get("workspace") or 0.0
        colocation[i] = colocation_number(row.get("colocate"))
        devices = row.get("devices")
        if devices is not None:
            device_set[i] = set_number.setdefault(tuple(devices), len(set_number))
        used_groups.append(
            [
                _look_up(group_index, name, f"operator '{row['id']}' uses parameter group")
                for name in dict.fromkeys(row.get("parameters") or ())
            ]
        )
    type_table = np.full((n, len(type_number.names)), np.nan)
    for i, j, value in by_type:
        type_table[i, j] = value

    producer = np.empty(len(tensors), dtype=np.int32)
    consumers: list[list[int]] = []
    for t, row in enumerate(tensors):
        what = f"tensor '{row['id']}'"
        producer[t] = _look_up(operator_index, row["producer"], f"{what} names the producer")
        consumers.append(
            [
                _look_up(operator_index, name, f"{what} names the consumer")
                for name in dict.fromkeys(row.get("consumers") or ())
            ]
        )
    return Graph(
        operator_ids=_ids(operators),
        kind=kind,
        duration=duration,
        type_names=type_number.names,
        duration_by_type=type_table,
        stream=stream,
        stream_names=stream_number.names,
        stage=stage,
        micro_batch=micro_batch,
        workspace=workspace,
        colocation=colocation,
        colocation_names=colocation_number.names,
        device_set=device_set,
        device_sets=tuple(set_number),
        parameter_ptr=_ptr(used_groups),
        parameter_index=_flat(used_groups),
        tensor_ids=_ids(tensors),
        producer=producer,
        size=np.array([row.get("size") or 0.0 for row in tensors], dtype=float),
        transfer=np.array(
            [
                np.nan
                if row.get("transfer") is None
                else _finite(row["transfer"], f"tensor '{row['id']}' has transfer time")
                for row in tensors
            ],
            dtype=float,
        ),
        is_output=np.array([bool(row.get("output", False)) for row in tensors], dtype=bool),
        consumer_ptr=_ptr(consumers),
        consumer=_flat(consumers),
        group_ids=_ids(parameter_groups),
        group_size=np.array([row.get("size") or 0.0 for row in parameter_groups], dtype=float),
    )


def build_cluster(
    devices: Sequence[Record],
    links: Sequence[Record] | Record | None = None,
    transfers: str = "overlapped",
) -> Cluster:
    """Build a cluster from records with the keys of the native file.

    Parameters
    ----------
    devices : sequence of mappings
        ``id``; optional ``type``, ``memory``, ``speed``, ``host``.
    links : sequence of mappings, mapping with the key ``default``, or None
        None means every pair is joined by a free link; an empty sequence means no links.
    transfers : {"overlapped", "staged"}

    Raises
    ------
    InputError
        If a device is repeated, or a link names an unknown device or a device twice.
    """
    index = _index_of(devices, "device")
    k = len(devices)
    latency = np.full((k, k), np.inf)
    np.fill_diagonal(latency, 0.0)
    bandwidth = np.full((k, k), np.inf)
    exclusive = np.zeros((k, k), dtype=bool)
    if links is None:
        links = {"default": {}}
    if isinstance(links, Mapping):
        default = links["default"]
        off_diagonal = ~np.eye(k, dtype=bool)
        latency[off_diagonal] = _finite(
            default.get("latency") or 0.0, "the default link has latency"
        )
        bandwidth[off_diagonal] = _bandwidth(default)
        exclusive[off_diagonal] = bool(default.get("exclusive", False))
    else:
        seen: set[tuple[int, int]] = set()
        for row in links:
            what = f"the link from '{row['source']}' to '{row['target']}' names the device"
            a, b = (_look_up(index, row[end], what) for end in ("source", "target"))
            if a == b:
                raise InputError(f"a link joins '{row['source']}' to itself; remove it")
            if (a, b) in seen:
                raise InputError(
                    f"the link from '{row['source']}' to '{row['target']}' is given twice; keep one"
                )
            seen.add((a, b))
            what = f"the link from '{row['source']}' to '{row['target']}' has latency"
            latency[a, b] = _finite(row.get("latency") or 0.0, what)
            bandwidth[a, b] = _bandwidth(row)
            exclusive[a, b] = bool(row.get("exclusive", False))
    return Cluster(
        device_ids=tuple(str(row["id"]) for row in devices),
        device_types=tuple(row.get("type") for row in devices),
        memory=np.array(
            [
                np.inf
                if row.get("memory") is None
                else _finite(row["memory"], f"device '{row['id']}' has memory")
                for row in devices
            ],
            dtype=float,
        ),
        speed=np.array(
            [1.0 if row.get("speed") is None else row["speed"] for row in devices], dtype=float
        ),
        host=np.array([bool(row.get("host", False)) for row in devices], dtype=bool),
        latency=latency,
        bandwidth=bandwidth,
        exclusive=exclusive,
        staged=transfers == "staged",
    )


def _finite(value: float, what: str) -> float:
    """Refuse infinities and NaN here: in the columns they stand for "absent"."""
    if not np.isfinite(value):
        raise InputError(f"{what} {value:g}; it must be a finite number, 0 or more")
    return float(value)


def _bandwidth(row: Record) -> float:
    value = row.get("bandwidth")
    return float("inf") if value is None else float(value)


def _index_of(rows: Sequence[Record], what: str) -> dict[str, int]:
    index: dict[str, int] = {}
    for i, row in enumerate(rows):
        name = row["id"]
        if name in index:
            raise InputError(f"{what} '{name}' is given twice; give each an id of its own")
        index[name] = i
    return index


def _look_up(index: Mapping[str, int], name: str, what: str) -> int:
    try:
        return index[name]
    except KeyError:
        raise InputError(f"{what} '{name}', which does not exist; correct the id") from None


def _ids(rows: Sequence[Record]) -> np.ndarray:
    ids = np.empty(len(rows), dtype=object)
    ids[:] = [row["id"] for row in rows]
    return ids


def _ptr(lists: Iterable[list[int]]) -> PtrArray:
    return np.cumsum([0, *map(len, lists)], dtype=np.int64)


def _flat(lists: Iterable[list[int]]) -> np.ndarray:
    return np.array([i for row in lists for i in row], dtype=np.int32)
