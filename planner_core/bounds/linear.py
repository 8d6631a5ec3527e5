"""Linear programmes whose optimum is used as a proof."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_matrix


class Rows:
    """A minimisation with boxed variables and "at most" rows, built row by row."""

    def __init__(self) -> None:
        self.lower: list[float] = []
        self.upper: list[float] = []
        self.cost: list[float] = []
        self.row_ptr: list[int] = [0]
        self.column: list[int] = []
        self.value: list[float] = []
        self.limit: list[float] = []

    def variable(self, lower: float, upper: float, cost: float = 0.0) -> int:
        """Add a variable; return its number."""
        self.lower.append(lower)
        self.upper.append(upper)
        self.cost.append(cost)
        return len(self.lower) - 1

    def at_most(self, terms: Iterable[tuple[int, float]], limit: float) -> None:
        """Add the row Σ coefficient · variable ≤ limit."""
        for column, value in terms:
            self.column.append(column)
            self.value.append(value)
        self.row_ptr.append(len(self.column))
        self.limit.append(limit)

    def bound(self, time_limit: float | None = None) -> float:
        """Return a lower bound on the minimum that does not rest on the solver's tolerances.

        Any row multipliers y ≥ 0 prove min c·x ≥ −y·b + Σ min over the box of (c + yA)·x; the
        solver only supplies good multipliers. inf if it finds no solution at all, the least
        value of the box if it stops early.
        """
        lower, upper, cost = map(np.asarray, (self.lower, self.upper, self.cost))
        limit = np.asarray(self.limit)
        matrix = csr_matrix((self.value, self.column, self.row_ptr), shape=(len(limit), len(lower)))
        options = {} if time_limit is None else {"time_limit": max(0.01, time_limit)}
        answer = linprog(
            cost,
            A_ub=matrix,
            b_ub=limit,
            bounds=np.column_stack([lower, upper]),
            method="highs",
            options=options,
        )
        if answer.status == 2:
            return np.inf
        if answer.status != 0:
            return float(np.where(cost > 0, lower, upper) @ cost)
        multipliers = np.maximum(0.0, -np.asarray(answer.ineqlin.marginals))
        reduced = cost + matrix.T @ multipliers
        return float(-(multipliers @ limit) + np.where(reduced > 0, lower, upper) @ reduced)
