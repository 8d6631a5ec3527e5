"""What a bound is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bound:
    """A proved lower bound on a measure.

    Parameters
    ----------
    value : float
        No schedule that keeps the rules has a smaller value.
    name : str
        The argument that proves it, in words, e.g. ``"one-machine preemptive bound"``.
    """

    value: float
    name: str
