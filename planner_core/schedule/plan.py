"""A plan: a schedule with its status, objective value, bound, gap, and where each came from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner_core.problem import RELATIVE_TOLERANCE, Problem
from planner_core.problem.graph import FloatArray
from planner_core.schedule.measures import period, stream_loads
from planner_core.schedule.memory import memory_profiles
from planner_core.schedule.schedule import Schedule

STATUSES: tuple[str, ...] = ("optimal", "feasible", "infeasible", "unknown")


@dataclass(frozen=True)
class DeviceUse:
    """What one device does in a plan; times in the time unit, memory in the memory unit."""

    id: str
    busy: float
    """Busy time of its busiest stream."""
    idle: float
    """Makespan − busy."""
    peak_memory: float
    memory: float
    """Its limit; inf = unlimited."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """The answer to a problem.

    Parameters
    ----------
    problem : Problem
    status : {"optimal", "feasible", "infeasible", "unknown"}
        ``optimal`` only if the value equals a proved lower bound within the tolerance.
    schedule : Schedule or None
    value, lower_bound : float or None
        Of the measure minimised first.
    proved_by, found_by : str or None
        Which bound proves ``lower_bound``; which method found the schedule.
    seconds : float
        Wall-clock time spent.
    reason : str or None
        Why there is no schedule, one sentence.
    """

    problem: Problem
    status: str
    schedule: Schedule | None = None
    value: float | None = None
    lower_bound: float | None = None
    proved_by: str | None = None
    found_by: str | None = None
    seconds: float = 0.0
    reason: str | None = None

    @property
    def makespan(self) -> float | None:
        """Latest finish, or None without a schedule."""
        return None if self.schedule is None else self.schedule.makespan

    @property
    def gap(self) -> float | None:
        """(value − lower bound) / value; None if either is unknown."""
        if self.value is None or self.lower_bound is None:
            return None
        return relative_gap(self.value, self.lower_bound)

    @property
    def period(self) -> float | None:
        """Busiest stream's busy time per micro-batch, or None without a schedule."""
        return None if self.schedule is None else period(self.problem, self.schedule)

    def devices(self) -> list[DeviceUse]:
        """Return busy and idle time and memory of every device; empty without a schedule."""
        return [] if self.schedule is None else device_use(self.problem, self.schedule)


def device_use(problem: Problem, schedule: Schedule) -> list[DeviceUse]:
    """Busy time, idle time and peak memory of every device in a schedule."""
    loads: FloatArray = stream_loads(problem, schedule)
    cluster, makespan = problem.cluster, schedule.makespan
    profiles = memory_profiles(problem, schedule)
    return [
        DeviceUse(
            id=cluster.device_ids[k],
            busy=float(loads[k].max()),
            idle=makespan - float(loads[k].max()),
            peak_memory=profiles[k].peak,
            memory=float(cluster.memory[k]),
        )
        for k in range(problem.n_devices)
    ]


def relative_gap(value: float, bound: float) -> float:
    """(value − bound) / value, 0 where they agree within the tolerance."""
    if proves_optimal(value, bound):
        return 0.0
    return (value - bound) / value if np.isfinite(value) and value > 0 else 1.0


def proves_optimal(value: float, bound: float) -> bool:
    """Whether a lower bound meets a value within the tolerance."""
    return bool(np.isfinite(value)) and value <= bound + RELATIVE_TOLERANCE * abs(value)
