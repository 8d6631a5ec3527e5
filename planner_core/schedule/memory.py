"""Memory in use on each device over time, read off a schedule and the problem alone."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from planner_core.problem import RELATIVE_TOLERANCE, Problem
from planner_core.problem.graph import FloatArray, IntArray
from planner_core.schedule.schedule import Schedule


class Holds(NamedTuple):
    """Memory held on devices over half-open times [start, end); arrays of shape (h,).

    Parameters
    ----------
    device : int array
    start, end, size : float arrays
        ``end`` is inf for what is never released.
    tensor : int array
        Tensor number; −1 for the workspace of an operator.
    operator : int array
        Producer of the tensor, or the operator whose workspace it is.
    """

    device: IntArray
    start: FloatArray
    end: FloatArray
    size: FloatArray
    tensor: IntArray
    operator: IntArray


@dataclass(frozen=True, eq=False)
class MemoryProfile:
    """Memory in use on one device: a step function.

    Parameters
    ----------
    time : float array, shape (s,)
        Instants at which the use changes, ascending, the first is 0.
    used : float array, shape (s,)
        Memory in use from ``time[i]`` until ``time[i + 1]``.
    """

    time: FloatArray
    used: FloatArray

    @property
    def peak(self) -> float:
        """Largest use."""
        return float(self.used.max())


def holds(problem: Problem, schedule: Schedule) -> Holds:
    """Return everything but parameter groups that takes memory, by problem-model rule 5."""
    graph, device = problem.graph, schedule.device
    start, finish = schedule.start, schedule.finish
    tensor, k, last_use = _last_uses(problem, schedule)
    producer = graph.producer[tensor]
    home = device[producer]
    begin, arrival = _moves(problem, schedule, tensor, home, k)
    end = np.where(np.diff(graph.consumer_ptr) > 0, 0.0, finish[graph.producer])
    local = k == home
    with np.errstate(invalid="ignore"):  # the validator names listed times that are no numbers
        np.maximum.at(end, tensor, np.where(local, last_use, arrival))
    end[graph.is_output] = np.inf
    away = np.flatnonzero(~local)
    own = np.flatnonzero(graph.size > 0)
    made_by = graph.producer[own]
    working = np.flatnonzero(graph.workspace > 0)
    return Holds(
        device=np.concatenate([k[away], device[made_by], device[working]]),
        start=np.concatenate([begin[away], start[made_by], start[working]]),
        end=np.concatenate([last_use[away], end[own], finish[working]]),
        size=np.concatenate([graph.size[tensor[away]], graph.size[own], graph.workspace[working]]),
        tensor=np.concatenate([tensor[away], own, np.full(len(working), -1)]),
        operator=np.concatenate([producer[away], made_by, working]),
    )


def _last_uses(problem: Problem, schedule: Schedule) -> tuple[IntArray, IntArray, FloatArray]:
    """Every (tensor with a size, device that consumes it) and when its last consumer ends."""
    graph, n_devices = problem.graph, problem.n_devices
    used = graph.size[graph.edge_tensor] > 0
    consumer = graph.edge_target[used]
    pair = graph.edge_tensor[used].astype(np.int64) * n_devices + schedule.device[consumer]
    order = np.argsort(pair, kind="stable")
    pair = pair[order]
    first = np.flatnonzero(np.diff(pair, prepend=-1))
    if not len(first):
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    last = np.maximum.reduceat(schedule.finish[consumer[order]], first)
    return pair[first] // n_devices, pair[first] % n_devices, np.maximum(last, 0.0)


def _moves(
    problem: Problem, schedule: Schedule, tensor: IntArray, source: IntArray, target: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Start and finish of transfers: as listed, else from the producer's finish on."""
    rows, n_devices = schedule.transfers, problem.n_devices
    begin = schedule.finish[problem.graph.producer[tensor]]
    arrival = begin + problem.transfer_times(tensor, source, target)
    if not len(rows):
        return begin, arrival
    listed = rows.tensor.astype(np.int64) * n_devices + rows.target
    order = np.argsort(listed, kind="stable")
    listed = listed[order]
    wanted = tensor * np.int64(n_devices) + target
    # Of rows listed twice (an error reported elsewhere) the last counts.
    at = np.maximum(np.searchsorted(listed, wanted, side="right") - 1, 0)
    known = listed[at] == wanted
    return (
        np.where(known, rows.start[order][at], begin),
        np.where(known, rows.finish[order][at], arrival),
    )


def memory_profiles(problem: Problem, schedule: Schedule) -> list[MemoryProfile]:
    """Memory in use on each device over the schedule.

    At one instant (within the time tolerance) releases count before allocations.

    Returns
    -------
    list of K MemoryProfile
    """
    graph, n_devices = problem.graph, problem.n_devices
    tolerance = RELATIVE_TOLERANCE * schedule.makespan
    users = np.repeat(schedule.device.astype(np.int64), np.diff(graph.parameter_ptr))
    pairs = np.unique(users * max(1, graph.n_groups) + graph.parameter_index)
    resident = np.bincount(
        pairs // max(1, graph.n_groups),
        weights=graph.group_size[pairs % max(1, graph.n_groups)],
        minlength=n_devices,
    )
    held = holds(problem, schedule)
    # A hold no longer than the tolerance is an empty interval.
    rows = np.flatnonzero(held.end - held.start > tolerance)
    ends = rows[np.isfinite(held.end[rows])]
    device = np.concatenate([held.device[rows], held.device[ends]])
    time = np.concatenate([held.start[rows], held.end[ends]])
    change = np.concatenate([held.size[rows], -held.size[ends]])
    order = np.lexsort((np.where(change < 0, time - tolerance, time), device))
    time, change = time[order], change[order]
    cut = np.searchsorted(device[order], np.arange(n_devices + 1))
    return [
        _profile(time[a:b], change[a:b], resident[k], tolerance)
        for k, (a, b) in enumerate(pairwise(cut.tolist()))
    ]


def _profile(
    time: FloatArray, change: FloatArray, resident: float, tolerance: float
) -> MemoryProfile:
    """Sum the changes of one device, given in the order in which they count."""
    if not len(time):
        return MemoryProfile(np.zeros(1), np.array([resident]))
    used = resident + np.cumsum(change)
    # Instants within the tolerance of each other are one: keep its last value.
    last = np.append(np.diff(time) > tolerance, True)
    time, used = time[last], used[last]
    if time[0] > tolerance:
        time, used = np.append(0.0, time), np.append(resident, used)
    return MemoryProfile(time, used)
