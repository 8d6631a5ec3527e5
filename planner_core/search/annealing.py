"""Simulated annealing over (topological sequence, device) inside a window, compiled.

A window is a stretch of the sequence. What lies before it is timed and stays; what lies behind
it enters through exact tails: the longest path from an operator's start, or from a stream being
free, to the end. A window over everything is plain annealing.

Importing this module imports numba.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner_core.problem.graph import IntArray
from planner_core.schedule.columns import Columns
from planner_core.search.decoder import Times, place
from planner_core.search.evaluation import STEP, evaluate, keep, nothing_kept, slide, slides
from planner_core.search.held_memory import fits_memory
from planner_core.search.moves import (
    LARGEST_PART,
    LAST,
    MOVE,
    Window,
    critical_path,
    draw,
    only_carries,
    propose,
    take_back,
)

CRITICAL = 0.3
"""Share of the moves that start at an operator of a critical path (whole graphs only)."""


@njit(nogil=True, cache=True)
def advance(
    c: Columns, sequence: IntArray, device: IntArray, times: Times, low: int, high: int
) -> None:
    """Time the operators at positions low … high − 1 after those before them."""
    for position in range(low, high):
        place(c, sequence[position], device, times)


@njit(nogil=True, cache=True)
def anneal_window(
    c: Columns,
    sequence: IntArray,
    position: IntArray,
    device: IntArray,
    times: Times,
    room: Times,
    window: Window,
    members: tuple[IntArray, IntArray],
    hot: float,
    cold: float,
    moves: int,
    limited: bool,
    state: NDArray[np.uint64],
    best_sequence: IntArray,
    best_device: IntArray,
) -> tuple[float, float]:
    """Anneal from temperature ``hot`` to ``cold``; sequence, position and device end as they are.

    ``room`` is room for the times entered last; the window's tails change inside the window.

    The best of the window goes to ``best_sequence`` and ``best_device`` (positions of the window
    and devices of its operators only). Returns the longest path through the window at the end
    and of the best; with ``limited`` only schedules that keep the memory limits are entered.
    """
    low, high = window.low, window.high
    kept = nothing_kept(c, sequence, window, room)
    part, move = np.empty(LARGEST_PART, np.int32), np.zeros(MOVE, np.int64)
    longest, energy, _ = evaluate(
        c, sequence, position, device, times, window, low, high - 1, kept, np.inf
    )
    keep(c, sequence, position, device, times, window, low, high - 1, kept)
    best, best_energy = longest, energy
    for p in range(low, high):
        best_sequence[p] = sequence[p]
        best_device[sequence[p]] = device[sequence[p]]
    cooling = (cold / hot) ** (1.0 / max(1, moves))
    temperature = hot
    queued = len(times.move_start) > 0
    whole = low == 0 and high == len(sequence)
    path = np.empty(len(sequence) if whole else 1, np.int32)
    critical, stale = 0, whole
    for _ in range(moves):
        temperature *= cooling
        a = low + int(draw(state) * (high - low))
        if whole and draw(state) < CRITICAL:
            if stale:
                critical, stale = critical_path(c, sequence, device, times, path), False
            a = position[path[int(draw(state) * critical)]]
        first = propose(c, a, sequence, position, device, window, members, move, part, state)
        if first < 0:
            continue
        last = move[LAST]
        if only_carries(move) and not queued and slides(c, sequence, device, move[0], move[1]):
            slide(c, sequence, position, device, window, first, last, kept)
            continue
        threshold = energy - temperature * np.log(max(draw(state), 1e-300))
        longest, then, reached = evaluate(
            c, sequence, position, device, times, window, first, last, kept, threshold
        )
        if then <= threshold and (not limited or fits_memory(c, device, times)):
            energy = then
            keep(c, sequence, position, device, times, window, first, last, kept)
            stale = whole
            if longest < best or (longest == best and then < best_energy):
                best, best_energy = longest, then
                for p in range(low, high):
                    best_sequence[p] = sequence[p]
                    best_device[sequence[p]] = device[sequence[p]]
            continue
        for p in range(low if queued else first - (first - low) % STEP, reached):
            times.start[sequence[p]] = kept.start[sequence[p]]
            times.finish[sequence[p]] = kept.finish[sequence[p]]
        take_back(c, sequence, position, device, members, move, part)
    longest, _, _ = evaluate(
        c, sequence, position, device, times, window, low, high - 1, kept, np.inf
    )
    return longest, best
