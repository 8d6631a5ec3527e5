"""Pieces do not divide: how many of them fit on the devices at once.

Within a load of T every device holds one of finitely many sets of pieces. Given any weights
π ≥ 0, let f(k) be the largest weight of a set that fits on device k within T; if Σ f(k) is less
than the weight of all pieces, no assignment has a load of T. Good weights come from the linear
programme over sets, generated as needed (Gilmore and Gomory 1961, "A Linear Programming Approach
to the Cutting-Stock Problem"); T is bisected.
"""

from __future__ import annotations

import time

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_matrix

from planner_core.problem.graph import FloatArray

CELLS = 4_000
"""Steps of the knapsacks; loads are rounded down to them, which keeps the bound valid."""

LARGEST = 400
"""With more pieces than this no packing is tried."""

PRECISION = 1e-4
"""Bisection ends at this share of the bound."""

ROUNDS = 400
"""Sets generated for one load, at most, per class of devices."""


def packing_bound(load: FloatArray, low: float, high: float, deadline: float) -> float:
    """Return a lower bound on the largest load of a device.

    Parameters
    ----------
    load : float array, shape (U, K)
        Load of every piece on every device; inf where it may not run.
    low, high : float
        A known bound and a known value.
    deadline : float
        On ``time.monotonic()``.

    Returns
    -------
    float
        ``low`` if nothing better is proved.
    """
    load = load[load.min(axis=1) > 0]
    if not len(load) or len(load) > LARGEST:
        return low
    table, count = np.unique(load, axis=1, return_counts=True)
    while high - low > PRECISION * high and time.monotonic() < deadline:
        middle = (low + high) / 2
        if _refuted(table, count, middle, deadline):
            low = middle
        else:
            high = middle
    return low


def _refuted(load: FloatArray, count: np.ndarray, limit: float, deadline: float) -> bool:
    """Whether it is proved that no assignment has all loads within the limit."""
    pieces, classes = load.shape
    cells = np.where(load <= limit, np.floor(load / limit * CELLS), CELLS + 1).astype(np.int64)
    rows: list[np.ndarray] = []
    weight, least = np.ones(pieces), np.zeros(classes)
    for _ in range(ROUNDS):
        new = False
        fits = np.zeros(classes)
        for c in range(classes):
            fits[c], chosen = _heaviest(weight, cells[:, c])
            if fits[c] > least[c] + 1e-7:
                row = np.zeros(pieces + classes)
                row[chosen], row[pieces + c] = 1.0, -1.0
                rows.append(row)
                new = True
        if weight.sum() > (count @ fits) * (1 + 1e-9) + 1e-9:
            return True
        if not new or time.monotonic() > deadline:
            return False
        answer = linprog(
            np.concatenate([-np.ones(pieces), count.astype(float)]),
            A_ub=csr_matrix(np.array(rows)),
            b_ub=np.zeros(len(rows)),
            bounds=[(0.0, 1.0)] * pieces + [(0.0, None)] * classes,
            method="highs",
        )
        if answer.status != 0 or answer.fun > -1e-9:
            return False
        weight, least = np.maximum(answer.x[:pieces], 0.0), answer.x[pieces:]
    return False


def _heaviest(weight: FloatArray, cells: np.ndarray) -> tuple[float, list[int]]:
    """Largest weight of a set of pieces that fits, and the set (0-1 knapsack)."""
    value = np.zeros(CELLS + 1)
    taken: list[tuple[int, np.ndarray]] = []
    for u in np.flatnonzero((cells <= CELLS) & (weight > 0)).tolist():
        size = int(cells[u])
        with_it = value[: CELLS + 1 - size] + weight[u]
        better = with_it > value[size:]
        value[size:] = np.where(better, with_it, value[size:])
        taken.append((u, better))
    place, chosen = CELLS, []
    for u, better in reversed(taken):
        size = int(cells[u])
        if place >= size and better[place - size]:
            chosen.append(u)
            place -= size
    return float(value[CELLS]), chosen
