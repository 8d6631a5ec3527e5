"""Where a graph of units may be cut: sets that hold everything before their members."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner_core.merging.stage_units import StageUnits
from planner_core.problem.graph import FloatArray

MAX_IDEALS = 6_000
"""Graphs with more ideals than this are cut along chains of them."""

MAX_CELLS = 50_000_000
"""Units × ideals that are kept in memory, at most."""

MAX_CUTS = 900
"""Cuts the dynamic programme looks at; its work grows with the square."""


def ideals(units: StageUnits, work: FloatArray) -> NDArray[np.bool_]:
    """All ideals as rows, smaller first; or those of two walks if there are too many."""
    before, behind = units.neighbours()
    most = min(MAX_IDEALS, MAX_CELLS // units.count)
    empty = np.zeros(units.count, dtype=bool)
    roots = tuple(u for u in range(units.count) if not before[u])
    found = {empty.tobytes(): empty}
    layer = [(empty, roots)]
    while layer and len(found) <= most:
        following = []
        for ideal, ready in layer:
            for u in ready:
                grown = ideal.copy()
                grown[u] = True
                key = grown.tobytes()
                if key not in found:
                    found[key] = grown
                    freed = tuple(v for v in behind[u] if all(grown[w] for w in before[v]))
                    following.append((grown, tuple(v for v in ready if v != u) + freed))
        layer = following
    if len(found) > most:
        found = {}
        for order in (np.arange(units.count), _breadth_first(before, work)):
            reached = np.append(0.0, np.cumsum(work[order]))
            for size in spread(reached, MAX_CUTS // 2).tolist():
                row = empty.copy()
                row[order[:size]] = True
                found[row.tobytes()] = row
    table = np.array(list(found.values()))
    return table[np.argsort(table.sum(axis=1), kind="stable")]


def spread(work: FloatArray, count: int) -> NDArray[np.int64]:
    """Pick about ``count`` rows of increasing work, evenly spread; the first and last always."""
    if len(work) <= count:
        return np.arange(len(work))
    targets = np.linspace(work[0], work[-1], count)
    nearest = np.searchsorted(work, targets).clip(0, len(work) - 1)
    return np.unique(np.append(nearest, [0, len(work) - 1]))


def _breadth_first(before: list[list[int]], work: FloatArray) -> NDArray[np.int64]:
    """Topological order by the heaviest path to a unit: branches advance side by side."""
    reach = np.zeros(len(before))
    for u in range(len(before)):  # units are numbered topologically
        reach[u] = work[u] + max((reach[v] for v in before[u]), default=0.0)
    return np.lexsort((np.arange(len(before)), reach))
