"""Identical micro-batches: which tasks may be taken in order without loss.

Micro-batches that use the same resources with the same durations, lags and holds are
interchangeable: sorting their start times, task by task, keeps every rule (if every task of
one kind starts no later than its counterpart must, so do the sorted ones; the number of holds
begun and ended by any time does not grow worse). So one order of them loses nothing, and the
search need not look at the others.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from planner_core.schedule.retiming import topological_rank
from planner_core.schedule.tasks import Tasks


def identical_chains(tasks: Tasks) -> list[list[int]]:
    """Return chains of tasks, one per interchangeable set, that may be started in that order.

    Each chain has the corresponding task of every interchangeable connected part of the task
    graph (in a pipeline: of every micro-batch that takes the same way). Parts with two tasks
    that cannot be told apart are left out, because their correspondence is not unique.
    """
    n = tasks.n_tasks
    if n == 0:
        return []
    arcs = coo_matrix((np.ones(len(tasks.arc_from)), (tasks.arc_from, tasks.arc_to)), shape=(n, n))
    count, part_of = connected_components(arcs, directed=False)
    if count == 1:
        return []
    label = _labels(tasks)
    parts: list[list[int]] = [[] for _ in range(count)]
    for task in np.lexsort((label, part_of)).tolist():
        parts[part_of[task]].append(task)
    classes: dict[tuple[int, ...], list[list[int]]] = {}
    for part in parts:
        key = tuple(int(label[task]) for task in part)
        if len(set(key)) == len(key):
            classes.setdefault(key, []).append(part)
    return [
        list(chain)
        for members in classes.values()
        if len(members) > 1
        for chain in zip(*sorted(members, key=min), strict=True)
    ]


def _labels(tasks: Tasks) -> np.ndarray:
    """Number tasks so that equal numbers mean equal surroundings, exactly (no hashing)."""
    n = tasks.n_tasks
    interned: dict[object, int] = {}

    def intern(key: object) -> int:
        return interned.setdefault(key, len(interned))

    before: list[list[tuple[int, float]]] = [[] for _ in range(n)]
    after: list[list[tuple[int, float]]] = [[] for _ in range(n)]
    for a, b, lag in zip(
        tasks.arc_from.tolist(), tasks.arc_to.tolist(), tasks.arc_lag.tolist(), strict=True
    ):
        before[b].append((a, lag))
        after[a].append((b, lag))
    held: list[list[int]] = [[] for _ in range(n)]
    for hold, task in enumerate(tasks.hold_task.tolist()):
        held[task].append(hold)
    rank = np.argsort(topological_rank(tasks)).tolist()
    label = [
        intern((r, d))
        for r, d in zip(tasks.resource.tolist(), tasks.duration.tolist(), strict=True)
    ]
    for order, neighbours, tag in ((rank, before, "in"), (rank[::-1], after, "out")):
        for task in order:
            around = tuple(sorted((label[other], lag) for other, lag in neighbours[task]))
            label[task] = intern((tag, label[task], around))

    def hold_key(hold: int) -> tuple[object, ...]:
        row = slice(tasks.release_ptr[hold], tasks.release_ptr[hold + 1])
        ends = sorted(
            (label[task], lag)
            for task, lag in zip(
                tasks.release_task[row].tolist(), tasks.release_lag[row].tolist(), strict=True
            )
        )
        return (
            int(tasks.hold_device[hold]),
            float(tasks.hold_size[hold]),
            bool(tasks.hold_at_finish[hold]),
            tuple(ends),
        )

    return np.array(
        [intern(("held", label[t], tuple(sorted(map(hold_key, held[t]))))) for t in range(n)]
    )
