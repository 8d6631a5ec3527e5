"""The common step of a set of lengths: where it exists, the grid of times is exact."""

from __future__ import annotations

import numpy as np

from planner_core.problem.graph import FloatArray

LARGEST_MULTIPLE = 10**6
"""A step so small that a length is more multiples than this is no use."""


def common_step(lengths: FloatArray) -> float | None:
    """Largest g such that every length is a whole multiple of g, or None.

    Multiples may miss by a relative 1e-12 (what decimal fractions lose as floats).

    Parameters
    ----------
    lengths : float array
        Not negative.
    """
    values = np.unique(np.asarray(lengths, dtype=float))
    values = values[values > 0]
    if not len(values):
        return None
    step = float(values[0])
    for value in values[1:].tolist():
        a, b = value, step
        while b > 1e-9 * value:
            # Euclid on floats: a remainder within rounding of 0 or of b is 0.
            remainder = a - b * round(a / b)
            a, b = b, abs(remainder) if abs(remainder) > 1e-10 * value else 0.0
        # Against the largest length so far, whose relative rounding is the least: what Euclid
        # lost on the way would be multiplied at the next length.
        step = value / round(value / a)
    multiples = values / step
    whole = np.round(multiples)
    if whole[-1] > LARGEST_MULTIPLE or np.any(np.abs(multiples - whole) > 1e-9 * whole):
        return None
    return step
