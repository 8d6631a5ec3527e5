"""What runs and what is held at one instant of a schedule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from planner_core.problem import RELATIVE_TOLERANCE, Problem
from planner_core.problem.graph import IntArray
from planner_core.schedule import Schedule, memory_profiles


@dataclass(frozen=True)
class DeviceNow:
    """One device at one instant.

    Parameters
    ----------
    device : int
    running : tuple of int
        Operators under way; several where streams or blocks overlap.
    memory : float
        Held at that instant, in the memory unit.
    """

    device: int
    running: tuple[int, ...]
    memory: float


def instants(schedules: Iterable[Schedule]) -> list[float]:
    """Times at which an operator of any of the schedules starts or finishes, ascending from 0."""
    found = [np.zeros(1)]
    for schedule in schedules:
        found += [schedule.start, schedule.finish]
    times = np.unique(np.concatenate(found))
    apart = np.append(np.diff(times) > RELATIVE_TOLERANCE * times[-1], True)
    return times[apart].tolist()


def running_at(schedule: Schedule, time: float) -> IntArray:
    """Return the operators under way at ``time``; one that just finished is over."""
    now = time + RELATIVE_TOLERANCE * schedule.makespan
    under_way = (schedule.start <= now) & (schedule.finish > now)
    return np.flatnonzero(under_way).astype(np.int32)


def at(problem: Problem, schedule: Schedule, time: float) -> list[DeviceNow]:
    """Return what every device does at ``time``."""
    now = time + RELATIVE_TOLERANCE * schedule.makespan
    running = running_at(schedule, time)
    found = []
    for k, profile in enumerate(memory_profiles(problem, schedule)):
        step = int(np.searchsorted(profile.time, now, side="right")) - 1
        on_device = running[schedule.device[running] == k]
        found.append(DeviceNow(k, tuple(on_device.tolist()), float(profile.used[step])))
    return found
