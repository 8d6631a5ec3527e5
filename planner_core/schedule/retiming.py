"""Re-timing: keep every decision of a schedule and start each task as early as they allow.

The decisions of a schedule are the order on every unary resource and, for memory, which
releases precede which allocations. Kept as precedence arcs they make a system of difference
constraints whose least solution (longest paths) is never later than the schedule itself, so
a schedule found on a coarse grid becomes exact without losing feasibility.
"""

from __future__ import annotations

import itertools

import numpy as np

from planner_core.problem import RELATIVE_TOLERANCE
from planner_core.problem.graph import FloatArray
from planner_core.schedule.tasks import Tasks

Arc = tuple[int, int, float]


def retime(tasks: Tasks, start: FloatArray) -> FloatArray:
    """Return the earliest start times that keep a feasible schedule's decisions.

    Parameters
    ----------
    tasks : Tasks
    start : float array, shape (T,)
        Start of every task in a schedule that keeps all rules (operators may in truth be
        shorter than the gaps it leaves them).

    Returns
    -------
    float array, shape (T,)
        Nowhere later than ``start``.
    """
    reference = np.asarray(start, dtype=float)
    arcs: list[Arc] = [
        (int(a), int(b), float(tasks.duration[a] + lag))
        for a, b, lag in zip(
            tasks.arc_from.tolist(), tasks.arc_to.tolist(), tasks.arc_lag.tolist(), strict=True
        )
    ]
    arcs.extend(_resource_arcs(tasks, reference))
    memory, milestone_time = _memory_arcs(tasks, reference)
    arcs.extend(memory)
    when = np.concatenate([reference, milestone_time])
    return _least_solution(len(when), arcs, when)[: tasks.n_tasks]


def resource_sequences(tasks: Tasks, start: FloatArray) -> list[list[int]]:
    """Tasks of every unary resource in the order they run."""
    topological = topological_rank(tasks)
    order = np.lexsort((topological, start + tasks.duration, start))
    rows: list[list[int]] = [[] for _ in range(tasks.n_resources)]
    for task in order.tolist():
        rows[tasks.resource[task]].append(task)
    return rows


def topological_rank(tasks: Tasks) -> np.ndarray:
    """Position of every task in one topological order of the arcs; shape (T,)."""
    successors: list[list[int]] = [[] for _ in range(tasks.n_tasks)]
    for a, b in zip(tasks.arc_from.tolist(), tasks.arc_to.tolist(), strict=True):
        successors[a].append(b)
    waiting = np.bincount(tasks.arc_to, minlength=tasks.n_tasks).tolist()
    order = [t for t in range(tasks.n_tasks) if not waiting[t]]
    for t in order:
        for v in successors[t]:
            waiting[v] -= 1
            if not waiting[v]:
                order.append(v)
    rank = np.empty(tasks.n_tasks, dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank


def _resource_arcs(tasks: Tasks, reference: FloatArray) -> list[Arc]:
    arcs: list[Arc] = []
    for row in resource_sequences(tasks, reference):
        arcs.extend((a, b, float(tasks.duration[a])) for a, b in itertools.pairwise(row))
    return arcs


def _memory_arcs(tasks: Tasks, reference: FloatArray) -> tuple[list[Arc], FloatArray]:
    """Arcs through milestones: an allocation waits for the releases it needs.

    Milestone i of a device stands for the first releases (in the schedule's order) that must
    have happened before its i-th allocation fits.
    """
    arcs: list[Arc] = []
    times: list[float] = []
    finish = reference + tasks.duration
    begin = np.where(tasks.hold_at_finish, finish[tasks.hold_task], reference[tasks.hold_task])
    room = tasks.problem.cluster.memory * (1 + RELATIVE_TOLERANCE) - tasks.resident
    for k in range(tasks.problem.n_devices):
        if not np.isfinite(room[k]):
            continue
        here = np.flatnonzero(tasks.hold_device == k)
        releases: list[tuple[float, int]] = []
        for hold in here.tolist():
            row = slice(tasks.release_ptr[hold], tasks.release_ptr[hold + 1])
            ends = finish[tasks.release_task[row]] + tasks.release_lag[row]
            if len(ends):
                releases.append((float(ends.max()), hold))
        releases.sort()
        freed, used, done, last = 0.0, 0.0, 0, -1
        for hold in here[np.argsort(begin[here], kind="stable")].tolist():
            used += tasks.hold_size[hold]
            first = done
            while used - freed > room[k] and done < len(releases):
                freed += tasks.hold_size[releases[done][1]]
                done += 1
            if done > first:
                milestone = tasks.n_tasks + len(times)
                times.append(releases[done - 1][0])
                if last >= 0:
                    arcs.append((last, milestone, 0.0))
                last = milestone
                for _, released in releases[first:done]:
                    row = slice(tasks.release_ptr[released], tasks.release_ptr[released + 1])
                    arcs.extend(
                        (int(task), milestone, float(tasks.duration[task] + lag))
                        for task, lag in zip(
                            tasks.release_task[row], tasks.release_lag[row], strict=True
                        )
                    )
            if last >= 0:
                task = int(tasks.hold_task[hold])
                early = tasks.duration[task] if tasks.hold_at_finish[hold] else 0.0
                arcs.append((last, task, -float(early)))
    return arcs, np.array(times)


def _least_solution(n: int, arcs: list[Arc], when: FloatArray) -> FloatArray:
    """Least x ≥ 0 with x[b] ≥ x[a] + w for every arc; ``when`` is a solution, used as order."""
    arcs.sort(key=lambda arc: when[arc[1]])
    value = [0.0] * n
    changed = True
    while changed:
        changed = False
        for a, b, w in arcs:
            bound = value[a] + w
            if bound > value[b] * (1 + 1e-15):
                # The known solution caps the value: rounding must not walk past it.
                bound = min(bound, max(when[b], value[b]))
                if bound > value[b]:
                    value[b] = bound
                    changed = True
    return np.array(value)
