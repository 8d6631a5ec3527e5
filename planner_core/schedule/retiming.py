"""Re-timing: keep every decision of a schedule and start each task as early as they allow.

The decisions of a schedule are the order on every unary resource and, for memory, which
releases precede which allocations. Kept as precedence arcs they make a system of difference
constraints whose least solution (longest paths) is never later than the schedule itself, so
a schedule found on a coarse grid becomes exact without losing feasibility.
"""

from __future__ import annotations

import numpy as np

from planner_core.problem import RELATIVE_TOLERANCE
from planner_core.problem.graph import FloatArray, IntArray, csr_from_rows
from planner_core.schedule.compiled import run_sized
from planner_core.schedule.tasks import Tasks

Arcs = tuple[np.ndarray, np.ndarray, np.ndarray]
"""From, to and weight: ``start[to] ≥ start[from] + weight``."""


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
    own = (tasks.arc_from, tasks.arc_to, tasks.duration[tasks.arc_from] + tasks.arc_lag)
    memory, milestone_time = _memory_arcs(tasks, reference)
    parts = (own, _resource_arcs(tasks, reference), memory)
    arcs = [np.concatenate([part[column] for part in parts]) for column in range(3)]
    when = np.concatenate([reference, milestone_time])
    # In the order of a solution one pass settles all but instants of no duration.
    order = np.argsort(when[arcs[1]], kind="stable")
    value = run_sized(_least_solution, len(when), *(column[order] for column in arcs), when)
    return np.array(value)[: tasks.n_tasks]


def resource_sequences(tasks: Tasks, start: FloatArray) -> list[list[int]]:
    """Tasks of every unary resource in the order they run."""
    order, cuts = _resource_order(tasks, start)
    return [row.tolist() for row in np.split(order, cuts)]


def _resource_order(tasks: Tasks, start: FloatArray) -> tuple[np.ndarray, np.ndarray]:
    """Tasks by resource in the order they run, and where the second and later resources begin."""
    topological = topological_rank(tasks)
    order = np.lexsort((topological, start + tasks.duration, start, tasks.resource))
    return order, np.searchsorted(tasks.resource[order], np.arange(1, tasks.n_resources))


def topological_rank(tasks: Tasks) -> np.ndarray:
    """Position of every task in one topological order of the arcs; shape (T,)."""
    ptr, out = csr_from_rows(tasks.arc_from, tasks.n_tasks)
    waiting = np.bincount(tasks.arc_to, minlength=tasks.n_tasks)
    rank = run_sized(_ranks, tasks.n_tasks, ptr, tasks.arc_to[out], waiting)
    return np.array(rank, dtype=np.int64)


def _ranks(ptr: IntArray, to: IntArray, waiting: IntArray) -> np.ndarray:
    """Rank producers before consumers, first come, first served; ``waiting`` is used up."""
    n = len(waiting)
    order = np.empty(n, np.int64)
    rank = np.empty(n, np.int64)
    count = 0
    for v in range(n):
        if waiting[v] == 0:
            order[count] = v
            count += 1
    done = 0
    while done < count:
        v = order[done]
        rank[v] = done
        done += 1
        for i in range(ptr[v], ptr[v + 1]):
            waiting[to[i]] -= 1
            if waiting[to[i]] == 0:
                order[count] = to[i]
                count += 1
    return rank


def _resource_arcs(tasks: Tasks, reference: FloatArray) -> Arcs:
    order, _ = _resource_order(tasks, reference)
    same = tasks.resource[order[:-1]] == tasks.resource[order[1:]]
    before, after = order[:-1][same], order[1:][same]
    return before, after, tasks.duration[before]


def _memory_arcs(tasks: Tasks, reference: FloatArray) -> tuple[Arcs, FloatArray]:
    """Arcs through milestones: an allocation waits for the releases it needs.

    Milestone i of a device stands for the first releases (in the schedule's order) that must
    have happened before its i-th allocation fits.
    """
    finish = reference + tasks.duration
    begin = np.where(tasks.hold_at_finish, finish[tasks.hold_task], reference[tasks.hold_task])
    end = np.full(len(begin), np.inf)
    ends = np.flatnonzero(np.diff(tasks.release_ptr) > 0)
    if len(ends):
        released = finish[tasks.release_task] + tasks.release_lag
        end[ends] = np.maximum.reduceat(released, tasks.release_ptr[ends])
    room = tasks.problem.cluster.memory * (1 + RELATIVE_TOLERANCE) - tasks.resident
    times: list[float] = []
    chain: list[int] = []  # milestones that wait for the one before them
    frees: list[tuple[int, int]] = []  # (hold, milestone that waits for its release)
    needs: list[tuple[int, int]] = []  # (milestone, hold that waits for it)
    for k in np.flatnonzero(np.isfinite(room)).tolist():
        here = np.flatnonzero(tasks.hold_device == k)
        going = here[np.isfinite(end[here])]
        releases = going[np.argsort(end[going], kind="stable")].tolist()
        freed, used, done, last = 0.0, 0.0, 0, -1
        size = dict(zip(here.tolist(), tasks.hold_size[here].tolist(), strict=True))
        for hold in here[np.argsort(begin[here], kind="stable")].tolist():
            used += size[hold]
            first = done
            while used - freed > room[k] and done < len(releases):
                freed += size[releases[done]]
                done += 1
            if done > first:
                milestone = tasks.n_tasks + len(times)
                times.append(float(end[releases[done - 1]]))
                if last >= 0:
                    chain.append(milestone)
                last = milestone
                frees.extend((released, milestone) for released in releases[first:done])
            if last >= 0:
                needs.append((last, hold))
    return _milestone_arcs(tasks, chain, frees, needs), np.array(times)


def _milestone_arcs(
    tasks: Tasks, chain: list[int], frees: list[tuple[int, int]], needs: list[tuple[int, int]]
) -> Arcs:
    later = np.array(chain, dtype=np.int64)
    hold, milestone = np.array(frees, dtype=np.int64).reshape(-1, 2).T
    count = np.diff(tasks.release_ptr)[hold]
    # Row numbers of all releases of all these holds.
    row = np.repeat(tasks.release_ptr[hold] - np.cumsum(count) + count, count)
    row += np.arange(len(row))
    task = tasks.release_task[row]
    waited, waiting = np.array(needs, dtype=np.int64).reshape(-1, 2).T
    begins = tasks.hold_task[waiting]
    early = np.where(tasks.hold_at_finish[waiting], tasks.duration[begins], 0.0)
    return (
        np.concatenate([later - 1, task, waited]),
        np.concatenate([later, np.repeat(milestone, count), begins]),
        np.concatenate(
            [np.zeros(len(later)), tasks.duration[task] + tasks.release_lag[row], -early]
        ),
    )


def _least_solution(
    source: IntArray, target: IntArray, weight: FloatArray, when: FloatArray
) -> list[float]:
    """Least x ≥ 0 with x[target] ≥ x[source] + weight; ``when`` is a solution that caps it."""
    value = [0.0] * len(when)
    changed = True
    while changed:
        changed = False
        for i in range(len(source)):
            b = target[i]
            bound = value[source[i]] + weight[i]
            if bound > value[b] * (1 + 1e-15):
                # The known solution caps the value: rounding must not walk past it.
                bound = min(bound, max(when[b], value[b]))
                if bound > value[b]:
                    value[b] = bound
                    changed = True
    return value
