"""Weight parts put where they cost least: into the gaps of a given order of F and I.

Importing this module imports numba.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner_core.baselines.layout import Layout, Rows
from planner_core.problem.graph import FloatArray, IntArray
from planner_core.schedule import resident_memory

GAP_SHARES: tuple[float, ...] = (0.0, 0.1, 0.3, 0.6, 1.0)
"""A weight part fills a gap of at least this share of its own time."""

Sequences = NDArray[np.int64]
"""What every rank runs apart from weight parts: (letter F 0 or I 1, virtual stage, micro-batch);
shape (p, L, 3), all of one length."""

_LETTERS = "FIW"


def best_filling(layout: Layout, candidates: Iterable[Sequences]) -> Rows | None:
    """Return the order of least makespan over candidates and gap shares.

    A weight part runs in a gap that is long enough for its share, or when memory blocks the
    next pass. Returns None if memory blocks every candidate for good.
    """
    costs, lags, holds, direction, room = _columns(layout)
    best, least = None, np.inf
    for sequences in candidates:
        for share in GAP_SHARES:
            order, makespan = _fill(sequences, costs, lags, holds, direction, room, share)
            if makespan < least:
                best, least = order, makespan
    if best is None:
        return None
    return [[(_LETTERS[letter], v, i) for letter, v, i in row] for row in best.tolist()]


def without_weights(rows: Rows) -> Sequences:
    """Return the sequences of given rows of single actions."""
    return np.array(
        [
            [(_LETTERS.index(str(letter)), v, i) for letter, v, i in row if letter != "W"]
            for row in rows
        ],
        dtype=np.int64,
    )


def _columns(layout: Layout) -> tuple[FloatArray, FloatArray, FloatArray, IntArray, FloatArray]:
    """Costs (3, V, m), lags (2, V, D), memory taken and freed (2, 3, V, D), direction, room."""
    virtual, directions = range(layout.n_virtual), range(len(layout.routes))
    lags = np.array(
        [[[layout.lags.get((x, v, r), 0.0) for r in directions] for v in virtual] for x in "FI"]
    )
    nothing = (0.0, 0.0)
    holds = np.array(
        [
            [[layout.holdings.get((x, v, r), nothing) for r in directions] for v in virtual]
            for x in _LETTERS
        ]
    )
    limit = layout.problem.cluster.memory * (1 + 1e-12)
    room = (limit - resident_memory(layout.problem, layout.device))[layout.ranks]
    return layout.costs[:3], lags, np.moveaxis(holds, 3, 0), layout.direction, room


@njit(cache=True)
def _fill(sequences, costs, lags, holds, direction, room, share):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Order (p, 3L/2, 3) with weight parts, and its makespan; inf if memory blocks."""
    p, length, _ = sequences.shape
    _, n_virtual, m = costs.shape
    order = np.zeros((p, length + length // 2, 3), np.int64)
    placed = np.zeros(p, np.int64)
    at = np.zeros(p, np.int64)
    waiting = np.zeros((p, length, 2), np.int64)
    first, last = np.zeros(p, np.int64), np.zeros(p, np.int64)
    end = np.full((2, n_virtual, m), -1.0)
    free, used = np.zeros(p), np.zeros(p)
    moved = True
    while moved:
        moved = False
        for d in range(p):
            while at[d] < length:
                letter, v, i = sequences[d, at[d]]
                r = direction[i]
                there = 0.0
                if letter == 1 and v == n_virtual - 1:
                    there = end[0, v, i]
                elif letter == 1:
                    there = end[1, v + 1, i]
                elif v > 0:
                    there = end[0, v - 1, i]
                if there < 0.0:
                    break
                if letter == 1 and v < n_virtual - 1:
                    there += lags[1, v + 1, r]
                elif letter == 0 and v > 0:
                    there += lags[0, v - 1, r]
                while first[d] < last[d]:
                    wv, wi = waiting[d, first[d]]
                    gap = there - free[d]
                    blocked = used[d] + holds[0, letter, v, r] > room[d]
                    if not blocked and (gap <= 0.0 or gap < share * costs[2, wv, wi]):
                        break
                    _weight(d, waiting, first, order, placed, free, used, costs, holds, direction)
                if used[d] + holds[0, letter, v, r] > room[d]:
                    return order, np.inf
                free[d] = max(free[d], there) + costs[letter, v, i]
                end[letter, v, i] = free[d]
                used[d] += holds[0, letter, v, r] - holds[1, letter, v, r]
                order[d, placed[d]] = sequences[d, at[d]]
                placed[d] += 1
                if letter == 1:
                    waiting[d, last[d], 0], waiting[d, last[d], 1] = v, i
                    last[d] += 1
                at[d] += 1
                moved = True
    for d in range(p):
        if at[d] < length:
            return order, np.inf
        while first[d] < last[d]:
            _weight(d, waiting, first, order, placed, free, used, costs, holds, direction)
    return order, free.max()


@njit(cache=True)
def _weight(d, waiting, first, order, placed, free, used, costs, holds, direction):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Run the oldest weight part that waits on a rank."""
    v, i = waiting[d, first[d]]
    first[d] += 1
    order[d, placed[d], 0], order[d, placed[d], 1], order[d, placed[d], 2] = 2, v, i
    placed[d] += 1
    free[d] += costs[2, v, i]
    used[d] += holds[0, 2, v, direction[i]] - holds[1, 2, v, direction[i]]
