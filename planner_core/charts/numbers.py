"""Numbers as people read them, the same in every figure and table."""

from __future__ import annotations

import numpy as np


def number(value: float | None) -> str:
    """Return up to six significant digits without noise; an en dash for None, ∞ for infinity."""
    if value is None:
        return "–"
    if np.isinf(value):
        return "∞"
    if abs(value) >= 1e5:
        return f"{value:,.0f}".replace(",", "\u2009")
    return f"{value:.6g}"


def percent(value: float | None) -> str:
    """Return a share as a percentage with one decimal; an en dash for None."""
    return "–" if value is None else f"{100 * value:.1f} %"
