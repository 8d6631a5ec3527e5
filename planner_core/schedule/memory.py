"""Memory in use on each device over time, read off a schedule and the problem alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from planner_core.problem import RELATIVE_TOLERANCE, Problem
from planner_core.problem.graph import FloatArray
from planner_core.schedule.schedule import Schedule


@dataclass(frozen=True)
class Hold:
    """Memory held on a device over the half-open time [start, end)."""

    device: int
    start: float
    end: float
    size: float
    tensor: int
    """Tensor number; −1 for the workspace of an operator."""
    operator: int
    """Producer of the tensor, or the operator whose workspace it is."""


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


def holds(problem: Problem, schedule: Schedule) -> Iterator[Hold]:
    """Yield everything but parameter groups that takes memory, by problem-model rule 5."""
    graph, device = problem.graph, schedule.device
    start, finish = schedule.start, schedule.finish
    rows = schedule.transfers
    moves = {
        (int(t), int(k)): (float(s), float(f))
        for t, k, s, f in zip(rows.tensor, rows.target, rows.start, rows.finish, strict=True)
    }
    for t in np.flatnonzero(graph.size > 0).tolist():
        producer, size = int(graph.producer[t]), float(graph.size[t])
        home = int(device[producer])
        consumers = graph.consumers_of(t)
        last_use: dict[int, float] = {}
        for c in consumers.tolist():
            k = int(device[c])
            last_use[k] = max(last_use.get(k, 0.0), float(finish[c]))
        end = last_use.pop(home, float(finish[producer]) if not len(consumers) else 0.0)
        for k, last in last_use.items():
            made = float(finish[producer])
            begin, arrival = moves.get((t, k)) or (
                made,
                made + problem.transfer_time(t, home, k),
            )
            end = max(end, arrival)
            yield Hold(k, begin, last, size, t, producer)
        if graph.is_output[t]:
            end = np.inf
        yield Hold(home, float(start[producer]), end, size, t, producer)
    for o in np.flatnonzero(graph.workspace > 0).tolist():
        yield Hold(
            int(device[o]), float(start[o]), float(finish[o]), float(graph.workspace[o]), -1, o
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
    group_users = np.repeat(np.arange(graph.n_operators), np.diff(graph.parameter_ptr))
    resident = np.zeros(n_devices)
    for k, g in {
        (int(schedule.device[o]), int(g))
        for o, g in zip(group_users, graph.parameter_index, strict=True)
    }:
        resident[k] += graph.group_size[g]
    events: list[list[tuple[float, float]]] = [[] for _ in range(n_devices)]
    for hold in holds(problem, schedule):
        # A hold no longer than the tolerance is an empty interval.
        if hold.end - hold.start > tolerance:
            events[hold.device].append((hold.start, hold.size))
            if np.isfinite(hold.end):
                events[hold.device].append((hold.end, -hold.size))
    return [_profile(row, resident[k], tolerance) for k, row in enumerate(events)]


def _profile(events: list[tuple[float, float]], resident: float, tolerance: float) -> MemoryProfile:
    if not events:
        return MemoryProfile(np.zeros(1), np.array([resident]))
    change = np.array([delta for _, delta in events])
    time = np.array([t for t, _ in events])
    order = np.argsort(np.where(change < 0, time - tolerance, time), kind="stable")
    time, change = time[order], change[order]
    used = resident + np.cumsum(change)
    # Instants within the tolerance of each other are one: keep its last value.
    last = np.append(np.diff(time) > tolerance, True)
    time, used = time[last], used[last]
    if time[0] > tolerance:
        time, used = np.append(0.0, time), np.append(resident, used)
    return MemoryProfile(time, used)
