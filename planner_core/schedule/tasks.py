"""A problem with every device chosen, compiled to tasks on unary resources.

Operators are tasks; so is everything else that occupies something exclusively: a transfer on
an exclusive link, and the copy out and the copy in of a staged transfer. What is left is a
disjunctive scheduling problem (arcs with lags, unary resources) with memory: the simulator,
re-timing, bounds and the MIP with fixed placement all work on this one form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner_core.problem import InputError, Problem
from planner_core.problem.graph import FloatArray, IntArray, PtrArray
from planner_core.schedule.schedule import Schedule, Transfers


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
        rows = schedule.transfers
        listed = {
            (int(t), int(b)): (float(s), float(f))
            for t, b, s, f in zip(rows.tensor, rows.target, rows.start, rows.finish, strict=True)
        }
        for x, (t, b) in enumerate(zip(self.transfer_tensor, self.transfer_target, strict=True)):
            first, last = self.transfer_first[x], self.transfer_last[x]
            if first < 0:
                continue
            begin, end = listed[int(t), int(b)]
            start[first] = begin
            if last != first:
                start[last] = end - self.duration[last]
        return start


class _Builder:
    """Collects tasks, arcs and holds while the tensors are walked once."""

    def __init__(self, problem: Problem, device: IntArray) -> None:
        graph = problem.graph
        self.problem, self.device = problem, device
        self.extra_duration: list[float] = []
        self.extra_resource: list[int] = []
        self.resources: dict[tuple[int, int, int], int] = {}
        self.arcs: list[tuple[int, int, float]] = []
        self.transfers: list[tuple[int, int, int, float, int, int]] = []
        self.holds: list[tuple[int, float, int, bool, list[tuple[int, float]]]] = []
        self.streams = np.array(
            [self.stream(int(k), int(s)) for k, s in zip(device, graph.stream, strict=True)],
            dtype=np.int32,
        )

    def stream(self, device: int, stream: int) -> int:
        return self.resources.setdefault((device, -1, stream), len(self.resources))

    def link(self, source: int, target: int) -> int:
        return self.resources.setdefault((source, target, -1), len(self.resources))

    def task(self, duration: float, resource: int) -> int:
        self.extra_duration.append(duration)
        self.extra_resource.append(resource)
        return len(self.device) + len(self.extra_duration) - 1

    def tensor(self, t: int) -> None:
        """Add the arcs, transfers and holds of one tensor."""
        problem, graph, device = self.problem, self.problem.graph, self.device
        producer, size = int(graph.producer[t]), float(graph.size[t])
        home = int(device[producer])
        local: list[int] = []
        remote: dict[int, list[int]] = {}
        for c in graph.consumers_of(t).tolist():
            if device[c] == home:
                local.append(c)
            else:
                remote.setdefault(int(device[c]), []).append(c)
        self.arcs.extend((producer, c, 0.0) for c in local)
        releases = [(c, 0.0) for c in local]
        times = {k: problem.transfer_time(t, home, k) for k in remote}
        for k, time in times.items():
            if not np.isfinite(time):
                names = problem.cluster.device_ids
                raise InputError(
                    f"tensor '{graph.tensor_ids[t]}' must go from '{names[home]}' to "
                    f"'{names[k]}', but no link joins them; add the link or allow other devices"
                )
        host, staged = problem.cluster.host, problem.cluster.staged
        send = -1
        if staged and remote and not host[home]:
            send = self.task(max(times.values()), self.stream(home, 0))
            self.arcs.append((producer, send, 0.0))
        for k, consumers in remote.items():
            first, last, time = send, send, times[k]
            if staged and not host[k]:
                last = self.task(time, self.stream(k, 0))
                first = last if send < 0 else send
                self.arcs.append((producer if send < 0 else send, last, 0.0))
            elif staged and send < 0:
                time = 0.0  # between two hosts nothing is copied
            elif not staged and problem.cluster.exclusive[home, k]:
                first = last = self.task(time, self.link(home, k))
                self.arcs.append((producer, last, 0.0))
            arrival = (last, 0.0) if last >= 0 else (producer, time)
            self.arcs.extend((arrival[0], c, arrival[1]) for c in consumers)
            releases.append(arrival)
            self.transfers.append((t, home, k, time, first, last))
            begins = first if first >= 0 else producer
            self.holds.append((k, size, begins, first < 0, [(c, 0.0) for c in consumers]))
        if graph.is_output[t]:
            releases = []
        elif not releases:
            releases = [(producer, 0.0)]
        self.holds.append((home, size, producer, False, releases))


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
    graph = problem.graph
    n = graph.n_operators
    device = np.asarray(device, dtype=np.int32)
    build = _Builder(problem, device)
    for t in range(graph.n_tensors):
        build.tensor(t)
    for o in np.flatnonzero(graph.workspace > 0).tolist():
        build.holds.append((int(device[o]), float(graph.workspace[o]), o, False, [(o, 0.0)]))
    held = [hold for hold in build.holds if hold[1] > 0]
    arcs, transfers = build.arcs, build.transfers
    own = problem.durations[np.arange(n), device] if n else np.zeros(0)
    return Tasks(
        problem=problem,
        device=device,
        duration=np.concatenate([own, build.extra_duration]),
        resource=np.concatenate([build.streams, build.extra_resource]).astype(np.int32),
        resource_device=np.array(
            [k if target < 0 else -1 for k, target, _ in build.resources], dtype=np.int32
        ),
        arc_from=_ints(arc[0] for arc in arcs),
        arc_to=_ints(arc[1] for arc in arcs),
        arc_lag=np.array([arc[2] for arc in arcs], dtype=float),
        transfer_tensor=_ints(row[0] for row in transfers),
        transfer_source=_ints(row[1] for row in transfers),
        transfer_target=_ints(row[2] for row in transfers),
        transfer_time=np.array([row[3] for row in transfers], dtype=float),
        transfer_first=_ints(row[4] for row in transfers),
        transfer_last=_ints(row[5] for row in transfers),
        hold_device=_ints(hold[0] for hold in held),
        hold_size=np.array([hold[1] for hold in held], dtype=float),
        hold_task=_ints(hold[2] for hold in held),
        hold_at_finish=np.array([hold[3] for hold in held], dtype=bool),
        release_ptr=np.cumsum([0, *(len(hold[4]) for hold in held)], dtype=np.int64),
        release_task=_ints(task for hold in held for task, _ in hold[4]),
        release_lag=np.array([lag for hold in held for _, lag in hold[4]], dtype=float),
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


def _ints(values: object) -> IntArray:
    return np.fromiter(values, dtype=np.int32)  # type: ignore[call-overload]
