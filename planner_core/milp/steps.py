"""What the step formulations share: step variables, rows and the finished model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.core.expr.numeric_expr import LinearExpression

Term = tuple[float, Any]
"""Coefficient and a variable, or the number 0 or 1 where a step's value is known."""


class BuildStopped(Exception):
    """The model was not wanted any more while it was being built."""


LOOK_EVERY = 500
"""Variables and rows between two looks at whether to go on."""

ROW_BLOCK = 5_000
"""Rows handed to Pyomo between two looks at whether to go on: about a tenth of a second."""

ROW_SLACK = 1e-12
"""Rows that no values break by more than this are left out."""


class StepModel:
    """Collects step variables and rows, then makes the Pyomo model.

    A step is a run of binaries z[first] ≤ … ≤ z[last − 1]: "it has begun by slot t". It is 0
    before its first slot; from slot ``last`` on it is ``end``: the number 1, or a variable.

    Parameters
    ----------
    stopped : callable
        Looked at while the model grows; once true, :class:`BuildStopped` is raised.
    """

    def __init__(self, stopped: Callable[[], bool] = lambda: False) -> None:
        self.stopped, self.looked = stopped, 0
        self.model = pyo.ConcreteModel()
        self.model.z = pyo.VarList(domain=pyo.Binary)
        self.model.share = pyo.VarList(domain=pyo.UnitInterval)
        self.rows: list[tuple[LinearExpression, float]] = []
        self.columns = 0

    def binary(self) -> Any:
        """Return a new binary variable."""
        self.columns += 1
        self.look()
        return self.model.z.add()

    def share(self) -> Any:
        """Return a new continuous variable in [0, 1]."""
        self.look()
        return self.model.share.add()

    def look(self) -> None:
        """Raise BuildStopped, now and then, if the model is not wanted any more."""
        self.looked += 1
        if self.looked % LOOK_EVERY == 0 and self.stopped():
            raise BuildStopped

    def at_most(self, terms: list[Term], limit: float) -> None:
        """Add the row Σ coefficient · z ≤ limit, unless it always holds."""
        self.look()
        unknown: dict[int, Any] = {}
        factor: dict[int, float] = {}
        for coefficient, z in terms:
            if isinstance(z, int):
                limit -= coefficient * z
            else:
                key = id(z)
                unknown[key] = z
                factor[key] = factor.get(key, 0.0) + coefficient
        coefficients, variables = list(factor.values()), list(unknown.values())
        if sum(c for c in coefficients if c > 0) > limit + ROW_SLACK:
            self.rows.append(
                (
                    LinearExpression(constant=0, linear_coefs=coefficients, linear_vars=variables),
                    limit,
                )
            )

    @staticmethod
    def can_break(terms: list[Term], limit: float) -> bool:
        """Whether some values of the variables break the row."""
        most = sum(c * z if isinstance(z, int) else max(c, 0.0) for c, z in terms)
        return most > limit + ROW_SLACK

    def finish(self) -> pyo.ConcreteModel:
        """Return the feasibility model with all rows."""
        rows = self.rows

        def row(_: object, i: int) -> tuple[None, LinearExpression, float]:
            return None, *rows[i]

        # Block by block: Pyomo reports whatever is raised inside one on standard error.
        for first in range(0, len(rows), ROW_BLOCK):
            if self.stopped():
                raise BuildStopped
            block = pyo.Constraint(range(first, min(first + ROW_BLOCK, len(rows))), rule=row)
            self.model.add_component("rows" if not first else f"rows{first}", block)
        self.model.feasibility = pyo.Objective(expr=0.0)
        return self.model


class Step:
    """One step: when something begins, if it does.

    Parameters
    ----------
    steps : StepModel
    first, last : int
        It begins in one of the slots ``first`` … ``last``.
    end : 1 or a variable
        Whether it ever begins.
    """

    def __init__(self, steps: StepModel, first: int, last: int, end: Any = 1) -> None:
        self.first, self.last, self.end = first, last, end
        self.column = steps.columns
        self.slots = [steps.binary() for _ in range(first, last)]
        for early, late in zip(self.slots, [*self.slots[1:], end], strict=False):
            steps.at_most([(1.0, early), (-1.0, late)], 0.0)

    def by(self, t: int) -> Any:
        """Whether it has begun by slot t: 0, 1 or a variable."""
        if t < self.first:
            return 0
        if t >= self.last:
            return self.end
        return self.slots[t - self.first]

    def begin(self, values: np.ndarray) -> int:
        """Slot it begins in, given the values of the model's binaries in order of creation."""
        begun = int((values[self.column : self.column + len(self.slots)] > 0.5).sum())
        return self.last - begun
