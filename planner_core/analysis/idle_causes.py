"""Why a device is idle: every gap on its compute stream, with its cause."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner_core.analysis.waiting import Waiting, waiting
from planner_core.problem import RELATIVE_TOLERANCE, Problem
from planner_core.schedule import MemoryProfile, Schedule, memory_profiles

CAUSES: tuple[str, ...] = (
    "waiting for an operator",
    "waiting for a transfer",
    "waiting for memory",
    "not needed earlier",
    "nothing left to do",
)
"""Every reason a device can be idle."""

OPERATOR, TRANSFER, MEMORY, CHOICE, DONE = CAUSES


@dataclass(frozen=True)
class Gap:
    """Idle time of one device with one cause.

    Parameters
    ----------
    device : int
    start, end : float
    cause : str
        One of :data:`CAUSES`.
    operator : int
        The operator that runs next; −1 where nothing is left to do.
    waits_for : int
        The operator it waits for, whose result it waits for; −1 for none.
    """

    device: int
    start: float
    end: float
    cause: str
    operator: int = -1
    waits_for: int = -1


def idle_causes(problem: Problem, schedule: Schedule) -> list[Gap]:
    """Return the idle time of every device's compute stream, cut by cause.

    A gap is explained by the operator that ends it: until the producer of its last input has
    finished it waits for that operator, until that input has arrived for the transfer; if it
    could have started then but would have exceeded the memory limit, it waits for memory;
    otherwise the schedule did not need it earlier. Staged copies count as idle time.

    Returns
    -------
    list of Gap
        By device and time; on each device the gaps and the operators fill the makespan.
    """
    facts = waiting(problem, schedule)
    profiles = memory_profiles(problem, schedule)
    gaps: list[Gap] = []
    for k, order in enumerate(schedule.order(problem)):
        clock = 0.0
        for o in order:
            if problem.graph.stream[o] != 0:
                continue
            if schedule.start[o] > clock + facts.tolerance:
                gaps += _explain(problem, schedule, facts, profiles[k], o, clock)
            clock = max(clock, float(schedule.finish[o]))
        if schedule.makespan > clock + facts.tolerance:
            gaps.append(Gap(k, clock, schedule.makespan, DONE))
    return gaps


def _explain(
    problem: Problem,
    schedule: Schedule,
    facts: Waiting,
    profile: MemoryProfile,
    o: int,
    begin: float,
) -> list[Gap]:
    """Cut the gap from ``begin`` to the start of operator o."""
    k, end = int(schedule.device[o]), float(schedule.start[o])
    producer = int(facts.last_input[o])
    made = min(end, float(schedule.finish[producer])) if producer >= 0 else 0.0
    ready = min(end, float(facts.ready[o]))
    pieces = []
    if made > begin + facts.tolerance:
        pieces.append(Gap(k, begin, made, OPERATOR, o, producer))
    begin = max(begin, made)
    if ready > begin + facts.tolerance:
        pieces.append(Gap(k, begin, ready, TRANSFER, o, producer))
    begin = max(begin, ready)
    if end > begin + facts.tolerance:
        full = _until_memory(problem, profile, o, k, begin, end, facts.tolerance)
        if full > begin + facts.tolerance:
            pieces.append(Gap(k, begin, full, MEMORY, o))
        if end > full + facts.tolerance:
            pieces.append(Gap(k, full, end, CHOICE, o))
    return pieces


def _until_memory(
    problem: Problem,
    profile: MemoryProfile,
    o: int,
    k: int,
    begin: float,
    end: float,
    tolerance: float,
) -> float:
    """Instant in [begin, end] from which operator o fits in memory until its own start."""
    limit = problem.cluster.memory[k] * (1 + RELATIVE_TOLERANCE)
    if not np.isfinite(limit):
        return begin
    graph = problem.graph
    ptr, tensors = graph.tensors_of
    needed = float(graph.size[tensors[ptr[o] : ptr[o + 1]]].sum() + graph.workspace[o])
    full = begin
    for i in range(len(profile.time)):
        until = profile.time[i + 1] if i + 1 < len(profile.time) else np.inf
        if profile.time[i] >= end - tolerance or until <= begin:
            continue
        if profile.used[i] + needed > limit:
            full = min(end, float(until))
    return full
