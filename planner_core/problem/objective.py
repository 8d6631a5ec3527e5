"""What a plan minimises, and budgets on the other measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from planner_core.problem.errors import InputError

MEASURES: tuple[str, ...] = ("makespan", "period", "peak_memory", "transfer")
"""Measures a plan can minimise or keep within a budget."""


@dataclass(frozen=True)
class Objective:
    """Measures to minimise, the most important first, and budgets on others.

    Parameters
    ----------
    minimize : tuple of str
        Names from :data:`MEASURES`; more than one means lexicographic.
    subject_to : mapping of str to float
        Largest allowed value of other measures.

    Raises
    ------
    InputError
        If a measure is unknown, repeated, or both minimised and budgeted.
    """

    minimize: tuple[str, ...] = ("makespan",)
    subject_to: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        names = ", ".join(MEASURES)
        if not self.minimize:
            raise InputError(f"the objective minimises nothing; name at least one of {names}")
        for measure in (*self.minimize, *self.subject_to):
            if measure not in MEASURES:
                raise InputError(f"the objective names '{measure}'; it must be one of {names}")
        if len(set(self.minimize)) < len(self.minimize):
            raise InputError("the objective minimises the same measure twice; name each once")
        for measure in self.subject_to:
            if measure in self.minimize:
                raise InputError(
                    f"'{measure}' is both minimised and limited by subject_to; keep one of the two"
                )

    @property
    def primary(self) -> str:
        """The measure minimised first."""
        return self.minimize[0]
