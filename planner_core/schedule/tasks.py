"""A problem with every device chosen, compiled to tasks on unary resources.

Operators are tasks; so is everything else that occupies something exclusively: a transfer on
an exclusive link, and the copy out and the copy in of a staged transfer. What is left is a
disjunctive scheduling problem (arcs with lags, unary resources) with memory: the simulator,
re-timing, bounds and the MIP with fixed placement all work on this one form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from planner_core.problem import InputError, Problem
from planner_core.problem.graph import FloatArray, IntArray, PtrArray
from planner_core.schedule.schedule import Schedule, Transfers

Numbers = NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Tasks:
    """Tasks (first the n operators, then the copies), arcs, holds and resources.

    Parameters
    ----------
    problem : Problem
    device : int32 array, shape (n,)
        Device of every operator.
    duration : float array, shape (T,)
    resource : int32 array, shape (T,)
        Unary resource of each task.
    resource_device : int32 array, shape (R,)
        Device a resource is a stream of; −1 for an exclusive link.
    arc_from, arc_to, arc_lag : arrays, shape (A,)
        ``start[to] ≥ finish[from] + lag``.
    transfer_tensor, transfer_source, transfer_target, transfer_time : arrays, shape (X,)
        Every (tensor, receiving device) pair that crosses devices.
    transfer_first, transfer_last : int32 arrays, shape (X,)
        Task whose start is the transfer's start and task whose finish is its finish; −1 for an
        overlapped transfer, which starts at the producer's finish and takes ``transfer_time``.
    hold_device, hold_size : arrays, shape (H,)
        What is held where: tensors on the producer's and the receivers' devices, workspaces.
    hold_task, hold_at_finish : arrays, shape (H,)
        Task at whose start (or finish) the hold begins.
    release_ptr, release_task, release_lag : CSR, H rows
        The hold ends at the latest ``finish[task] + lag``; never if the row is empty.
    resident : float array, shape (K,)
        Memory of the parameter groups on each device.
    """

    problem: Problem
    device: IntArray
    duration: FloatArray
    resource: IntArray
    resource_device: IntArray
    arc_from: IntArray
    arc_to: IntArray
    arc_lag: FloatArray
    transfer_tensor: IntArray
    transfer_source: IntArray
    transfer_target: IntArray
    transfer_time: FloatArray
    transfer_first: IntArray
    transfer_last: IntArray
    hold_device: IntArray
    hold_size: FloatArray
    hold_task: IntArray
    hold_at_finish: NDArray[np.bool_]
    release_ptr: PtrArray
    release_task: IntArray
    release_lag: FloatArray
    resident: FloatArray

    @property
    def n_tasks(self) -> int:
        """Number of tasks T."""
        return len(self.duration)

    @property
    def n_operators(self) -> int:
        """Number of operators n; tasks 0 … n − 1."""
        return len(self.device)

    @property
    def n_resources(self) -> int:
        """Number of unary resources R."""
        return len(self.resource_device)

    def schedule(self, start: FloatArray, finish: FloatArray | None = None) -> Schedule:
        """Return the schedule that given start times of all tasks mean; arrays of shape (T,).

        ``finish`` is needed only where tasks end later or earlier than start + duration.
        """
        n = self.n_operators
        finish = start + self.duration if finish is None else finish
        producer = self.problem.graph.producer[self.transfer_tensor]
        first, last = self.transfer_first, self.transfer_last
        free = finish[producer] if len(producer) else np.zeros(0)
        return Schedule(
            device=self.device,
            start=start[:n].copy(),
            finish=finish[:n].copy(),
            transfers=Transfers(
                tensor=self.transfer_tensor,
                source=self.transfer_source,
                target=self.transfer_target,
                start=np.where(first >= 0, start[first], free),
                finish=np.where(last >= 0, finish[last], free + self.transfer_time),
            ),
        )

    def start_times(self, schedule: Schedule) -> FloatArray:
        """Return the start of every task in a schedule on these devices; shape (T,).

        Transfers the schedule does not list are an error.
        """
        start = np.zeros(self.n_tasks)
        start[: self.n_operators] = schedule.start
        rows, k = schedule.transfers, self.problem.n_devices
        queued = np.flatnonzero(self.transfer_first >= 0)
        if not len(queued):
            return start
        listed = rows.tensor.astype(np.int64) * k + rows.target
        order = np.argsort(listed, kind="stable")
        tensor, target = self.transfer_tensor[queued], self.transfer_target[queued]
        wanted = tensor.astype(np.int64) * k + target
        at = np.searchsorted(listed, wanted, side="right", sorter=order) - 1
        lost = (at < 0) | (listed[order[at]] != wanted) if len(order) else at < 0
        if lost.any():
            x = int(np.flatnonzero(lost)[0])
            raise InputError(
                f"the schedule lists no transfer of '{self.problem.graph.tensor_ids[tensor[x]]}' "
                f"to '{self.problem.cluster.device_ids[target[x]]}'; list its start and finish"
            )
        row = order[at]
        first, last = self.transfer_first[queued], self.transfer_last[queued]
        two = last != first
        start[first] = rows.start[row]
        start[last[two]] = rows.finish[row[two]] - self.duration[last[two]]
        return start


class _Crossings(NamedTuple):
    """Every (tensor, receiving device) pair that crosses devices, by tensor, then device."""

    tensor: IntArray
    source: IntArray
    target: IntArray
    time: FloatArray
    edge: Numbers
    """Edges (numbers) to consumers on other devices."""
    of_edge: Numbers
    """Crossing that serves each of those."""


def _crossings(problem: Problem, device: IntArray) -> _Crossings:
    graph, k = problem.graph, problem.n_devices
    edge = np.flatnonzero(device[graph.edge_source] != device[graph.edge_target])
    pair = graph.edge_tensor[edge].astype(np.int64) * k + device[graph.edge_target[edge]]
    pairs, of_edge = np.unique(pair, return_inverse=True)
    tensor, target = pairs // k, pairs % k
    source = device[graph.producer[tensor]]
    time = problem.transfer_times(tensor, source, target)
    if not np.all(np.isfinite(time)):
        x = int(np.flatnonzero(~np.isfinite(time))[0])
        names = problem.cluster.device_ids
        raise InputError(
            f"tensor '{graph.tensor_ids[tensor[x]]}' must go from '{names[source[x]]}' to "
            f"'{names[target[x]]}', but no link joins them; add the link or allow other devices"
        )
    return _Crossings(_ints(tensor), _ints(source), _ints(target), time, edge, of_edge.ravel())


class _Copies(NamedTuple):
    """Tasks that copies are: c copies, x crossings."""

    duration: FloatArray
    occupies: Numbers
    """What each occupies: device · streams, or K · streams + source · K + target; shape (c,)."""
    first: Numbers
    """Copy each crossing begins with, −1 = none; shape (x,)."""
    last: Numbers
    arc_from: Numbers
    """Operator (or n + copy) each copy waits for; shape (c,)."""


def _copies(problem: Problem, moves: _Crossings) -> _Copies:
    """Make tasks of transfers on exclusive links and of staged copies."""
    graph, cluster, k = problem.graph, problem.cluster, problem.n_devices
    n, streams, x = graph.n_operators, len(graph.stream_names), len(moves.tensor)
    source, target = moves.source.astype(np.int64), moves.target.astype(np.int64)
    producer = graph.producer[moves.tensor]
    none = np.full(x, -1, dtype=np.int64)
    if not cluster.staged:
        alone = np.flatnonzero(cluster.exclusive[source, target])
        first = none.copy()
        first[alone] = np.arange(len(alone))
        link = k * streams + source[alone] * k + target[alone]
        return _Copies(moves.time[alone], link, first, first, producer[alone])
    sends, receives = ~cluster.host[source], np.flatnonzero(~cluster.host[target])
    sent, row = np.unique(moves.tensor[sends], return_index=True)
    row = np.flatnonzero(sends)[row]
    slowest = np.zeros(graph.n_tensors)
    np.maximum.at(slowest, moves.tensor, moves.time)
    # Numbered tensor by tensor, the copy out before the copies in.
    rank = np.concatenate([row * 2, receives * 2 + 1])
    number = np.empty(len(rank), dtype=np.int64)
    number[np.argsort(rank, kind="stable")] = np.arange(len(rank))
    send_of = np.full(graph.n_tensors, -1, dtype=np.int64)
    send_of[sent] = number[: len(sent)]
    send, receive = send_of[moves.tensor], none.copy()
    receive[receives] = number[len(sent) :]
    waits_for = np.where(send >= 0, n + send, producer)[receives]
    by_number = np.argsort(number)
    duration = np.concatenate([slowest[sent], moves.time[receives]])[by_number]
    occupies = np.concatenate([source[row], target[receives]])[by_number] * streams
    arc_from = np.concatenate([producer[row], waits_for])[by_number]
    return _Copies(
        duration,
        occupies,
        np.where(send >= 0, send, receive),
        np.where(receive >= 0, receive, send),
        arc_from,
    )


class _HoldRows(NamedTuple):
    """Holds and, flat, what releases each of them."""

    device: IntArray
    size: FloatArray
    task: IntArray
    at_finish: NDArray[np.bool_]
    release_ptr: PtrArray
    release_task: IntArray
    release_lag: FloatArray


def _hold_rows(
    problem: Problem,
    device: IntArray,
    moves: _Crossings,
    first: Numbers,
    arrival: tuple[Numbers, FloatArray],
) -> _HoldRows:
    """Holds on receivers (one per crossing), at home (one per tensor), then workspaces."""
    graph = problem.graph
    x, m, n = len(moves.tensor), graph.n_tensors, graph.n_operators
    producer = graph.producer
    local = np.flatnonzero(device[graph.edge_source] == device[graph.edge_target])
    unused = np.flatnonzero(np.diff(graph.consumer_ptr) == 0)
    released = np.concatenate(
        [
            moves.of_edge,
            x + graph.edge_tensor[local],
            x + moves.tensor,
            x + unused,
            x + m + np.arange(n),
        ]
    )
    by = np.concatenate(
        [
            graph.edge_target[moves.edge],
            graph.edge_target[local],
            arrival[0],
            producer[unused],
            np.arange(n),
        ]
    )
    lag = np.zeros(len(by))
    begin = len(moves.edge) + len(local)
    lag[begin : begin + x] = arrival[1]
    size = np.concatenate([graph.size[moves.tensor], graph.size, graph.workspace])
    held = size > 0
    kept = held.copy()
    kept[x : x + m] &= ~graph.is_output  # an output is never released
    rows = np.flatnonzero(kept[released])
    rows = rows[np.argsort(released[rows], kind="stable")]
    count = np.bincount(released[rows], minlength=len(size))[held]
    begins = np.where(first >= 0, first, producer[moves.tensor])
    at_finish = np.zeros(len(size), dtype=bool)
    at_finish[:x] = first < 0
    return _HoldRows(
        device=_ints(np.concatenate([moves.target, device[producer], device])[held]),
        size=size[held],
        task=_ints(np.concatenate([begins, producer, np.arange(n)])[held]),
        at_finish=at_finish[held],
        release_ptr=np.concatenate([[0], np.cumsum(count)]).astype(np.int64),
        release_task=_ints(by[rows]),
        release_lag=lag[rows],
    )


def compile_tasks(problem: Problem, device: IntArray) -> Tasks:
    """Compile a problem whose devices are chosen.

    Parameters
    ----------
    problem : Problem
    device : int array, shape (n,)
        Device of every operator of ``problem.graph``; must be allowed ones.

    Raises
    ------
    InputError
        If a tensor must cross between devices that no link joins.
    """
    graph, k = problem.graph, problem.n_devices
    n, streams = graph.n_operators, len(graph.stream_names)
    device = np.asarray(device, dtype=np.int32)
    moves = _crossings(problem, device)
    copies = _copies(problem, moves)
    first = np.where(copies.first >= 0, n + copies.first, -1)
    last = np.where(copies.last >= 0, n + copies.last, -1)
    # Between two hosts nothing is copied.
    time = np.where(last < 0, 0.0, moves.time) if problem.cluster.staged else moves.time
    arrival = np.where(last >= 0, last, graph.producer[moves.tensor])
    lag = np.where(last >= 0, 0.0, time)
    local = np.flatnonzero(device[graph.edge_source] == device[graph.edge_target])
    occupied = np.concatenate([device.astype(np.int64) * streams + graph.stream, copies.occupies])
    resources, resource = np.unique(occupied, return_inverse=True)
    holds = _hold_rows(problem, device, moves, first, (arrival, lag))
    own = problem.durations[np.arange(n), device] if n else np.zeros(0)
    return Tasks(
        problem=problem,
        device=device,
        duration=np.concatenate([own, copies.duration]),
        resource=_ints(resource.ravel()),
        resource_device=_ints(np.where(resources < k * streams, resources // streams, -1)),
        arc_from=_ints(
            np.concatenate([graph.edge_source[local], copies.arc_from, arrival[moves.of_edge]])
        ),
        arc_to=_ints(
            np.concatenate(
                [
                    graph.edge_target[local],
                    n + np.arange(len(copies.duration)),
                    graph.edge_target[moves.edge],
                ]
            )
        ),
        arc_lag=np.concatenate([np.zeros(len(local) + len(copies.duration)), lag[moves.of_edge]]),
        transfer_tensor=moves.tensor,
        transfer_source=moves.source,
        transfer_target=moves.target,
        transfer_time=time,
        transfer_first=_ints(first),
        transfer_last=_ints(last),
        hold_device=holds.device,
        hold_size=holds.size,
        hold_task=holds.task,
        hold_at_finish=holds.at_finish,
        release_ptr=holds.release_ptr,
        release_task=holds.release_task,
        release_lag=holds.release_lag,
        resident=resident_memory(problem, device),
    )


def resident_memory(problem: Problem, device: IntArray) -> FloatArray:
    """Memory of the parameter groups that each device holds; shape (K,)."""
    graph = problem.graph
    users = np.repeat(np.asarray(device, dtype=np.int64), np.diff(graph.parameter_ptr))
    groups = graph.parameter_index.astype(np.int64)
    pairs = np.unique(users * max(1, graph.n_groups) + groups)
    memory = np.zeros(problem.n_devices)
    if len(pairs):
        np.add.at(memory, pairs // graph.n_groups, graph.group_size[pairs % graph.n_groups])
    return memory


def _ints(values: NDArray[Any]) -> IntArray:
    return values.astype(np.int32)
