"""Tasks on a grid of time slots: durations and lags as whole numbers of slots.

Durations and lags are rounded **up**, so a schedule on the grid is a schedule in truth
(releases happen no later and allocations no earlier than the grid says). Lower bounds need the
other rounding; see :mod:`planner_core.bounds`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from planner_core.problem.graph import FloatArray, IntArray
from planner_core.schedule import Tasks
from planner_core.schedule.retiming import topological_rank

ROUNDING_SLACK = 1e-9
"""Share of a slot by which a quotient may miss a whole number and still count as it."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Earliest and latest start slot of every task for one horizon."""

    horizon: int
    earliest: IntArray
    latest: IntArray

    @property
    def is_empty(self) -> bool:
        """Whether some task has no slot left: nothing fits the horizon."""
        return bool(np.any(self.earliest > self.latest))


@dataclass(frozen=True, eq=False)
class Grid:
    """Tasks in slots.

    Parameters
    ----------
    tasks : Tasks
    slot : float
        Length of a slot in the problem's time unit.
    duration, duration_down : int arrays, shape (T,)
        Rounded up, and rounded down (for what must not begin too late).
    arcs : list of (from, to, weight)
        ``start[to] ≥ start[from] + weight``; duration and lag are rounded up together.
    releases : list of H lists of (task, lag)
        Hold h ends when all of ``start[task] + lag`` have passed; reduced to those that no
        other implies.
    room : float array, shape (K,)
        Memory beside the resident parameter groups.
    chains : sequence of chains
        Tasks that may be started in this order without loss.
    """

    tasks: Tasks
    slot: float
    duration: IntArray
    duration_down: IntArray
    arcs: list[tuple[int, int, int]]
    releases: list[list[tuple[int, int]]]
    room: FloatArray
    chains: Sequence[Sequence[int]] = field(default_factory=list)

    @classmethod
    def of(cls, tasks: Tasks, slot: float, chains: Sequence[Sequence[int]] = ()) -> Grid:
        """Round tasks to a grid."""
        duration = round_up(tasks.duration, slot)
        weight = round_up(tasks.duration[tasks.arc_from] + tasks.arc_lag, slot)
        room = tasks.problem.cluster.memory - tasks.resident
        arcs = list(
            zip(tasks.arc_from.tolist(), tasks.arc_to.tolist(), weight.tolist(), strict=True)
        )
        return cls(
            tasks=tasks,
            slot=slot,
            duration=duration,
            duration_down=np.floor(tasks.duration / slot + ROUNDING_SLACK).astype(np.int32),
            arcs=arcs,
            releases=_releases(tasks, slot, {(a, b): weight for a, b, weight in arcs}),
            room=room,
            chains=chains,
        )

    def windows(self, horizon: int) -> Windows:
        """Earliest and latest start slots within a horizon, by longest paths.

        Chains of interchangeable tasks count as precedence: the i-th of them waits for the
        i − 1 before it on the same resource.
        """
        n = self.tasks.n_tasks
        rank = topological_rank(self.tasks)
        arcs = list(self.arcs)
        for chain in self.chains:
            arcs.extend((a, b, int(self.duration[a])) for a, b in pairwise(chain))
        place = {task: i for chain in self.chains for i, task in enumerate(chain)}
        early = np.zeros(n, dtype=np.int64)
        tail = self.duration.astype(np.int64).copy()  # slots from a task's start to the end
        # Chained tasks follow each other within a level: order by place first.
        arcs.sort(key=lambda arc: (place.get(arc[0], 0), rank[arc[0]]))
        _relax(early, arcs)
        arcs.sort(key=lambda arc: (-place.get(arc[1], 0), -rank[arc[1]]))
        _relax(tail, [(b, a, w) for a, b, w in arcs])
        return Windows(horizon, early.astype(np.int32), (horizon - tail).astype(np.int32))


def round_up(values: FloatArray, slot: float) -> IntArray:
    """Whole slots that hold each value; values that miss a whole number by a hair count as it."""
    return np.ceil(values / slot - ROUNDING_SLACK).astype(np.int32)


def _relax(value: np.ndarray, arcs: list[tuple[int, int, int]]) -> None:
    """Longest paths by repeated passes; a good order of the arcs makes the passes few."""
    changed = True
    while changed:
        changed = False
        for a, b, w in arcs:
            if value[a] + w > value[b]:
                value[b] = value[a] + w
                changed = True


def _releases(
    tasks: Tasks, slot: float, weight: dict[tuple[int, int], int]
) -> list[list[tuple[int, int]]]:
    """(task, slots from its start) pairs that end each hold, without those another implies."""
    # Duration and lag are rounded up together, as one length.
    whole = round_up(tasks.duration[tasks.release_task] + tasks.release_lag, slot)
    rows: list[list[tuple[int, int]]] = []
    for first, last in pairwise(tasks.release_ptr.tolist()):
        ends: dict[int, int] = {}
        for task, slots in zip(
            tasks.release_task[first:last].tolist(), whole[first:last].tolist(), strict=True
        ):
            ends[task] = max(slots, ends.get(task, 0))

        def implied(a: int, slots: int, ends: dict[int, int] = ends) -> bool:
            return any((a, b) in weight and slots <= weight[a, b] + ends[b] for b in ends)

        rows.append([(a, slots) for a, slots in ends.items() if not implied(a, slots)])
    return rows
