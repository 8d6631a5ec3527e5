"""A problem as flat arrays for compiled code, and its answer back as a schedule.

Everything here is linear in the graph, so a million operators compile to columns in well under
a second. Import this module only where compiled code is about to run: it imports numba.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner_core.kernels import drop_stale_kernels
from planner_core.problem import Problem
from planner_core.problem.graph import FloatArray, IntArray
from planner_core.schedule.schedule import Schedule, Transfers

BoolArray = NDArray[np.bool_]

# Every module whose compiled code calls that of another file imports this one first.
drop_stale_kernels()


class Columns(NamedTuple):
    """n operators, K devices, S streams, m tensors, e edges (tensor, consumer).

    Parameters
    ----------
    duration : float array, shape (n, C)
        C = 1 where every device takes the same time, else K; inf where not allowed.
    column : int array, shape (K,)
        Column of ``duration`` that a device reads.
    stream : int array, shape (n,)
    n_streams : int
    in_ptr, in_tensor : CSR, n rows
        Tensors each operator consumes.
    out_ptr, out_tensor : CSR, n rows
        Tensors each operator produces.
    use_ptr, use : CSR, m rows
        Consumers of each tensor.
    producer, size, fixed : arrays, shape (m,)
        ``fixed`` is a given transfer time, NaN for latency + size · ``per_unit``.
    output : bool array, shape (m,)
    latency, per_unit : float arrays, shape (K, K)
        ``latency`` is inf where there is no link.
    exclusive : bool array, shape (K, K)
    host : bool array, shape (K,)
    staged : bool
    colocation : int array, shape (n,)
    group_allowed : bool array, shape (colocation groups, K)
    workspace : float array, shape (n,)
    parameter_ptr, parameter : CSR, n rows
    parameter_size : float array, shape (parameter groups,)
    memory : float array, shape (K,)
        Limits with the tolerance on top.
    topological : int array, shape (n,)
    """

    duration: FloatArray
    column: IntArray
    stream: IntArray
    n_streams: int
    in_ptr: IntArray
    in_tensor: IntArray
    out_ptr: IntArray
    out_tensor: IntArray
    use_ptr: IntArray
    use: IntArray
    producer: IntArray
    size: FloatArray
    fixed: FloatArray
    output: BoolArray
    latency: FloatArray
    per_unit: FloatArray
    exclusive: BoolArray
    host: BoolArray
    staged: bool
    colocation: IntArray
    group_allowed: BoolArray
    workspace: FloatArray
    parameter_ptr: IntArray
    parameter: IntArray
    parameter_size: FloatArray
    memory: FloatArray
    topological: IntArray


@njit(nogil=True, cache=True)
def group_rows(rows: IntArray, values: IntArray, n_rows: int) -> tuple[IntArray, IntArray]:
    """Group ``values`` by row (CSR) with one counting pass; order within a row is kept."""
    ptr = np.zeros(n_rows + 1, np.int32)
    for r in rows:
        ptr[r + 1] += 1
    for r in range(n_rows):
        ptr[r + 1] += ptr[r]
    fill = ptr[:-1].copy()
    grouped = np.empty(len(rows), np.int32)
    for i in range(len(rows)):
        r = rows[i]
        grouped[fill[r]] = values[i]
        fill[r] += 1
    return ptr, grouped


def colocated(columns: Columns) -> tuple[IntArray, IntArray]:
    """Return the operators of every colocation group (CSR by group)."""
    grouped = np.flatnonzero(columns.colocation >= 0).astype(np.int32)
    return group_rows(columns.colocation[grouped], grouped, max(1, len(columns.group_allowed)))


@njit(nogil=True, cache=True)
def topological_order(
    in_ptr: IntArray, out_ptr: IntArray, out_tensor: IntArray, use_ptr: IntArray, use: IntArray
) -> IntArray:
    """Operators with producers before consumers, first come, first served."""
    n = len(in_ptr) - 1
    waiting = in_ptr[1:] - in_ptr[:-1]
    order = np.empty(n, np.int32)
    count = 0
    for o in range(n):
        if waiting[o] == 0:
            order[count] = o
            count += 1
    done = 0
    while done < count:
        o = order[done]
        done += 1
        for i in range(out_ptr[o], out_ptr[o + 1]):
            t = out_tensor[i]
            for j in range(use_ptr[t], use_ptr[t + 1]):
                waiting[use[j]] -= 1
                if waiting[use[j]] == 0:
                    order[count] = use[j]
                    count += 1
    return order[:count]


@njit(nogil=True, cache=True, inline="always")
def move_time(c: Columns, t: int, a: int, b: int) -> float:
    """Time tensor t takes from device a to another device b; inf without a link."""
    if np.isnan(c.fixed[t]):
        return c.latency[a, b] + c.size[t] * c.per_unit[a, b]
    if np.isinf(c.latency[a, b]):
        return np.inf
    return c.fixed[t]


def columns_of(problem: Problem) -> Columns:
    """Return a problem's columns."""
    from planner_core.problem import RELATIVE_TOLERANCE

    graph, cluster = problem.graph, problem.cluster
    n, k = graph.n_operators, problem.n_devices
    durations = problem.durations
    alike = durations.strides[1] == 0 or k == 1
    # A copy: read-only arrays are another type, for which everything would be compiled again.
    table = np.array(durations[:, :1] if alike else durations, dtype=float, order="C")
    tensor = graph.edge_tensor.astype(np.int32, copy=False)
    target = graph.edge_target.astype(np.int32, copy=False)
    producer = np.ascontiguousarray(graph.producer, dtype=np.int32)
    in_ptr, in_tensor = group_rows(target, tensor, n)
    out_ptr, out_tensor = group_rows(producer, np.arange(graph.n_tensors, dtype=np.int32), n)
    use_ptr = graph.consumer_ptr.astype(np.int32)
    use = np.ascontiguousarray(graph.consumer, dtype=np.int32)
    groups = len(graph.colocation_names)
    group_allowed = np.ones((groups, k), dtype=bool)
    for o in np.flatnonzero(graph.colocation >= 0).tolist():
        group_allowed[graph.colocation[o]] &= np.isfinite(durations[o])
    return Columns(
        duration=table,
        column=np.zeros(k, np.int32) if alike else np.arange(k, dtype=np.int32),
        stream=graph.stream.astype(np.int32),
        n_streams=len(graph.stream_names),
        in_ptr=in_ptr,
        in_tensor=in_tensor,
        out_ptr=out_ptr,
        out_tensor=out_tensor,
        use_ptr=use_ptr,
        use=use,
        producer=producer,
        size=np.ascontiguousarray(graph.size, dtype=float),
        fixed=np.ascontiguousarray(graph.transfer, dtype=float),
        output=np.ascontiguousarray(graph.is_output, dtype=bool),
        latency=np.ascontiguousarray(cluster.latency, dtype=float),
        per_unit=np.ascontiguousarray(1.0 / cluster.bandwidth),
        exclusive=np.ascontiguousarray(cluster.exclusive, dtype=bool),
        host=np.ascontiguousarray(cluster.host, dtype=bool),
        staged=bool(cluster.staged),
        colocation=np.ascontiguousarray(graph.colocation, dtype=np.int32),
        group_allowed=group_allowed,
        workspace=np.ascontiguousarray(graph.workspace, dtype=float),
        parameter_ptr=graph.parameter_ptr.astype(np.int32),
        parameter=np.ascontiguousarray(graph.parameter_index, dtype=np.int32),
        parameter_size=np.ascontiguousarray(graph.group_size, dtype=float),
        memory=cluster.memory * (1 + RELATIVE_TOLERANCE),
        topological=topological_order(in_ptr, out_ptr, out_tensor, use_ptr, use),
    )


def overlapped_schedule(
    problem: Problem, device: IntArray, start: FloatArray, finish: FloatArray
) -> Schedule:
    """Return the schedule of start times whose transfers all start when the producer finishes."""
    graph, cluster = problem.graph, problem.cluster
    source = device[graph.producer[graph.edge_tensor]].astype(np.int64)
    target = device[graph.edge_target].astype(np.int64)
    crosses = source != target
    pairs = graph.edge_tensor[crosses].astype(np.int64) * problem.n_devices + target[crosses]
    pairs = np.unique(pairs)
    tensor, to = pairs // problem.n_devices, pairs % problem.n_devices
    home = device[graph.producer[tensor]]
    time = cluster.latency[home, to] + graph.size[tensor] / cluster.bandwidth[home, to]
    time = np.where(np.isnan(graph.transfer[tensor]), time, graph.transfer[tensor])
    begin = finish[graph.producer[tensor]]
    return Schedule(
        device=np.asarray(device, dtype=np.int32),
        start=start,
        finish=finish,
        transfers=Transfers(
            tensor=tensor.astype(np.int32),
            source=home.astype(np.int32),
            target=to.astype(np.int32),
            start=begin,
            finish=begin + time,
        ),
    )
