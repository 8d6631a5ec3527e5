"""The time-indexed step formulation with fixed placement, as a Pyomo model.

``z[o, t]`` says "task o has started by slot t". It is non-decreasing in t, 0 before the
task's earliest and 1 from its latest slot on, so precedence is a row of two coefficients
(Pritsker, Watters and Wolfe 1969; the step form: Artigues 2017, "On the strength of
time-indexed formulations for the resource-constrained project scheduling problem") and the
relaxation is strong. The horizon is fixed: a solution is a schedule that ends by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.core.expr.numeric_expr import LinearExpression

from planner_core.milp.grid import Grid, Windows

Term = tuple[float, Any]


@dataclass(frozen=True, eq=False)
class FixedModel:
    """A step formulation and how to read its solutions.

    Parameters
    ----------
    model : pyomo.environ.ConcreteModel
    windows : Windows
        Earliest and latest start slot of every task.
    offset : int array, shape (T + 1,)
        Columns ``offset[o]`` … ``offset[o + 1] − 1`` are ``z[o, t]`` for E ≤ t < L.
    """

    model: pyo.ConcreteModel
    windows: Windows
    offset: np.ndarray

    def start_slots(self, values: np.ndarray) -> np.ndarray:
        """Start slot of every task in a solution; shape (T,)."""
        started = np.concatenate([[0.0], np.cumsum(values[: self.offset[-1]] > 0.5)])
        # A task that has started s slots before its latest start began at L − s.
        return self.windows.latest - (started[self.offset[1:]] - started[self.offset[:-1]]).astype(
            int
        )

    def values(self, start_slots: np.ndarray) -> np.ndarray | None:
        """Columns that mean given start slots, or None if they leave a window."""
        early, late = self.windows.earliest, self.windows.latest
        if np.any(start_slots < early) or np.any(start_slots > late):
            return None
        columns = np.zeros(self.offset[-1])
        for o, slot in enumerate(start_slots.tolist()):
            columns[self.offset[o] + slot - early[o] : self.offset[o + 1]] = 1.0
        return columns


def fixed_placement_model(grid: Grid, windows: Windows) -> FixedModel:
    """Build the feasibility model "is there a schedule within the horizon?".

    Parameters
    ----------
    grid : Grid
        Tasks with durations, lags and order in slots.
    windows : Windows
        For a horizon; see :meth:`Grid.windows`.
    """
    return _Build(grid, windows).finish()


class _Build:
    def __init__(self, grid: Grid, windows: Windows) -> None:
        self.grid, self.tasks, self.windows = grid, grid.tasks, windows
        self.early = windows.earliest.tolist()
        self.late = windows.latest.tolist()
        self.offset = np.concatenate([[0], np.cumsum(windows.latest - windows.earliest)])
        self.model = pyo.ConcreteModel()
        self.model.z = pyo.Var(range(int(self.offset[-1])), domain=pyo.Binary)
        self.z = list(self.model.z.values())
        self.rows: list[tuple[LinearExpression, float]] = []

    def started(self, o: int, t: int) -> Any:
        """z[o, t]: the number 0 or 1 outside the window, a variable inside."""
        if t < self.early[o]:
            return 0
        if t >= self.late[o]:
            return 1
        return self.z[self.offset[o] + t - self.early[o]]

    def at_most(self, terms: list[Term], limit: float) -> None:
        """Add the row Σ coefficient · z ≤ limit."""
        coefficients, variables = [], []
        for coefficient, z in terms:
            if isinstance(z, int):
                limit -= coefficient * z
            else:
                coefficients.append(coefficient)
                variables.append(z)
        if sum(c for c in coefficients if c > 0) > limit + 1e-12:
            self.rows.append(
                (
                    LinearExpression(
                        constant=0, linear_coefs=coefficients, linear_vars=variables
                    ),
                    limit,
                )
            )

    def not_before(self, o: int, p: int, lag: int) -> None:
        """Rows for start[p] ≥ start[o] + lag: z[p, t] ≤ z[o, t − lag]."""
        for t in range(self.early[p], min(self.late[p], self.late[o] + lag)):
            self.at_most([(1.0, self.started(p, t)), (-1.0, self.started(o, t - lag))], 0.0)

    def finish(self) -> FixedModel:
        grid, duration = self.grid, self.grid.duration.tolist()
        for o in range(self.tasks.n_tasks):
            for t in range(self.early[o], self.late[o] - 1):
                self.at_most([(1.0, self.started(o, t)), (-1.0, self.started(o, t + 1))], 0.0)
        for o, p, weight in grid.arcs:
            self.not_before(o, p, weight)
        for chain in grid.chains:
            for o, p in pairwise(chain):
                self.not_before(o, p, duration[o])
        self.resources()
        self.memory()
        rows = self.rows
        self.model.rows = pyo.Constraint(
            range(len(rows)), rule=lambda _, i: (None, rows[i][0], rows[i][1])
        )
        self.model.feasibility = pyo.Objective(expr=0.0)
        return FixedModel(self.model, self.windows, self.offset)

    def resources(self) -> None:
        """At most one task at a time on each unary resource."""
        users: dict[int, list[int]] = {}
        for o, r in enumerate(self.tasks.resource.tolist()):
            if self.grid.duration[o] > 0:
                users.setdefault(r, []).append(o)
        for row in users.values():
            if len(row) < 2:
                continue
            spans = [(o, self.early[o], self.late[o] + int(self.grid.duration[o])) for o in row]
            for t in range(self.windows.horizon):
                terms: list[Term] = []
                for o, first, end in spans:
                    if first <= t < end:
                        terms.append((1.0, self.started(o, t)))
                        terms.append((-1.0, self.started(o, t - int(self.grid.duration[o]))))
                self.at_most(terms, 1.0)

    def memory(self) -> None:
        """Memory in use on each limited device in every slot."""
        tasks, grid = self.tasks, self.grid
        for k in np.flatnonzero(np.isfinite(tasks.problem.cluster.memory)).tolist():
            here = np.flatnonzero(tasks.hold_device == k).tolist()
            limit = float(grid.room[k])
            if sum(tasks.hold_size[here]) <= limit:
                continue
            holds = [self.hold(h) for h in here]
            for t in range(self.windows.horizon):
                terms: list[Term] = []
                for size, task, begin_lag, ends in holds:
                    terms.append((size, self.started(task, t - begin_lag)))
                    released = self.released(ends, t)
                    if released is not None:
                        terms.append((-size, released))
                self.at_most(terms, limit)

    def hold(self, h: int) -> tuple[float, int, int, list[tuple[int, int]]]:
        """Size, task that begins the hold, its lag, and (task, lag) pairs that all end it."""
        size, task = float(self.tasks.hold_size[h]), int(self.tasks.hold_task[h])
        # Begin no later than in truth: where durations were rounded up, round this one down.
        lag = int(self.grid.duration_down[task]) if self.tasks.hold_at_finish[h] else 0
        return size, task, lag, self.grid.releases[h]

    def released(self, ends: list[tuple[int, int]], t: int) -> Any:
        """Whether all of the ends have passed by slot t; None if the hold never ends."""
        if not ends:
            return None
        parts = [self.started(task, t - lag) for task, lag in ends]
        if any(isinstance(part, int) and part == 0 for part in parts):
            return 0
        open_parts = [part for part in parts if not isinstance(part, int)]
        if not open_parts:
            return 1
        if len(open_parts) == 1:
            return open_parts[0]
        both = self.released_variable()
        for part in open_parts:
            self.at_most([(1.0, both), (-1.0, part)], 0.0)
        return both

    def released_variable(self) -> Any:
        """A continuous variable in [0, 1]: all consumers of a tensor have finished."""
        if not hasattr(self.model, "released"):
            self.model.released = pyo.VarList(domain=pyo.UnitInterval)
        return self.model.released.add()
