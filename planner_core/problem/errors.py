"""Errors that people read: one sentence that names the item and says what to change."""

from __future__ import annotations


class PlannerError(Exception):
    """Base of every error this package raises on purpose; its text is one clear sentence."""


class InputError(PlannerError, ValueError):
    """The input is wrong: a file, a table or an argument. The command line exits with 2."""


class InfeasibleError(PlannerError):
    """Proved: no schedule can meet the limits. The command line exits with 3."""


class ImpossibleInput(InfeasibleError, InputError):
    """Rules of the input contradict each other: no schedule, whatever the sizes and times."""


class NotApplicable(PlannerError):
    """An expert schedule does not fit this problem; the text says why."""
