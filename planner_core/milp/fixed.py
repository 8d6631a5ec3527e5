"""The time-indexed step formulation with fixed placement, as a Pyomo model.

``z[o, t]`` says "task o has started by slot t". It is non-decreasing in t, 0 before the
task's earliest and 1 from its latest slot on, so precedence is a row of two coefficients
(Pritsker, Watters and Wolfe 1969; the step form: Artigues 2017, "On the strength of
time-indexed formulations for the resource-constrained project scheduling problem") and the
relaxation is strong. The horizon is fixed: a solution is a schedule that ends by it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyomo.environ as pyo

from planner_core.milp.grid import Grid, Windows
from planner_core.milp.steps import Step, StepModel, Term


@dataclass(frozen=True, eq=False)
class FixedModel:
    """A step formulation and how to read its solutions.

    Parameters
    ----------
    model : pyomo.environ.ConcreteModel
    steps : list of T Step
        Start of every task.
    """

    model: pyo.ConcreteModel
    steps: list[Step]

    def start_slots(self, values: np.ndarray) -> np.ndarray:
        """Start slot of every task in a solution; shape (T,)."""
        return np.array([step.begin(values) for step in self.steps])


def fixed_placement_model(
    grid: Grid, windows: Windows, stopped: Callable[[], bool] = lambda: False
) -> FixedModel:
    """Build the feasibility model "is there a schedule within the horizon?".

    Parameters
    ----------
    grid : Grid
        Tasks with durations, lags and order in slots.
    windows : Windows
        For a horizon; see :meth:`Grid.windows`.
    stopped : callable
        Looked at while the model is built.

    Raises
    ------
    BuildStopped
        Once ``stopped`` says so.
    """
    return _Build(grid, windows, StepModel(stopped)).finish()


class _Build:
    def __init__(self, grid: Grid, windows: Windows, steps: StepModel) -> None:
        self.grid, self.tasks, self.windows = grid, grid.tasks, windows
        self.steps = steps
        self.start = [
            Step(self.steps, first, last)
            for first, last in zip(windows.earliest.tolist(), windows.latest.tolist(), strict=True)
        ]

    def not_before(self, o: int, p: int, lag: int) -> None:
        """Rows for start[p] ≥ start[o] + lag: z[p, t] ≤ z[o, t − lag]."""
        before, after = self.start[o], self.start[p]
        for t in range(after.first, min(after.last, before.last + lag)):
            self.steps.at_most([(1.0, after.by(t)), (-1.0, before.by(t - lag))], 0.0)

    def finish(self) -> FixedModel:
        for o, p, weight in self.grid.arcs:
            self.not_before(o, p, weight)
        for chain in self.grid.chains:
            for o, p in pairwise(chain):
                self.not_before(o, p, int(self.grid.duration[o]))
        self.resources()
        self.memory()
        return FixedModel(self.steps.finish(), self.start)

    def resources(self) -> None:
        """At most one task at a time on each unary resource."""
        users: dict[int, list[tuple[Step, int]]] = {}
        for o, r in enumerate(self.tasks.resource.tolist()):
            if self.grid.duration[o] > 0:
                users.setdefault(r, []).append((self.start[o], int(self.grid.duration[o])))
        for row in users.values():
            if len(row) < 2:
                continue
            for t in range(self.windows.horizon):
                terms: list[Term] = []
                for step, length in row:
                    if step.first <= t < step.last + length:
                        terms += [(1.0, step.by(t)), (-1.0, step.by(t - length))]
                self.steps.at_most(terms, 1.0)

    def memory(self) -> None:
        """Memory in use on each limited device in every slot."""
        tasks = self.tasks
        for k in np.flatnonzero(np.isfinite(tasks.problem.cluster.memory)).tolist():
            here = np.flatnonzero(tasks.hold_device == k).tolist()
            limit = float(self.grid.room[k])
            if sum(tasks.hold_size[here]) <= limit:
                continue
            for t in range(self.windows.horizon):
                terms: list[Term] = []
                for h in here:
                    size, task = float(tasks.hold_size[h]), int(tasks.hold_task[h])
                    # Where durations were rounded up, a hold that begins at a finish begins
                    # no later than in truth only if this one is rounded down.
                    lag = int(self.grid.duration_down[task]) if tasks.hold_at_finish[h] else 0
                    terms.append((size, self.start[task].by(t - lag)))
                    terms.append((-size, self.released(self.grid.releases[h], t)))
                self.steps.at_most(terms, limit)

    def released(self, ends: list[tuple[int, int]], t: int) -> Any:
        """Whether all of the ends have passed by slot t; a hold without ends never ends."""
        parts = [self.start[task].by(t - lag) for task, lag in ends]
        if not parts or any(isinstance(part, int) and part == 0 for part in parts):
            return 0
        unknown = [part for part in parts if not isinstance(part, int)]
        if len(unknown) < 2:
            return unknown[0] if unknown else 1
        together = self.steps.share()
        for part in unknown:
            self.steps.at_most([(1.0, together), (-1.0, part)], 0.0)
        return together
