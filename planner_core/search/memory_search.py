"""A first schedule where memory is tight: annealing from one that holds too much, compiled.

List schedulers meet the limits when little is left to choose, and a schedule they cannot complete
is lost. Here a schedule made without limits is changed, order and devices, until it keeps them.

Importing this module imports numba.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner_core.problem import Problem
from planner_core.problem.graph import IntArray
from planner_core.schedule import Schedule
from planner_core.schedule.columns import Columns, colocated, columns_of
from planner_core.search.cooling import Pace, cooling
from planner_core.search.decoder import Times, decisions_of, decode, empty_times, schedule_of
from planner_core.search.held_memory import memory_excess
from planner_core.search.moves import (
    LARGEST_PART,
    MOVE,
    Window,
    draw,
    propose,
    take_back,
    whole_window,
)

HASTE = 0.1
"""Energy of a makespan twice that of the start, in units of an excess of the largest limit."""

HOT, COLD = 0.03, 0.0003
"""Temperatures a run begins and ends with, in the same units."""

LONGER, LONGEST_RUN = 1.5, 10.0
"""Each run takes longer than the one before by this factor, up to so many seconds."""


@njit(nogil=True, cache=True)
def _anneal(
    c: Columns,
    sequence: IntArray,
    position: IntArray,
    device: IntArray,
    times: Times,
    window: Window,
    members: tuple[IntArray, IntArray],
    unit: float,
    hot: float,
    cold: float,
    moves: int,
    state: NDArray[np.uint64],
) -> float:
    """Anneal until the limits are kept or the moves are used up; return the excess left."""
    n = len(sequence)
    part, move = np.empty(LARGEST_PART, np.int32), np.zeros(MOVE, np.int64)
    haste = HASTE * decode(c, sequence, device, times) / unit
    excess = memory_excess(c, device, times, np.inf)
    energy = excess + haste
    cooling = (cold / hot) ** (1.0 / max(1, moves))
    temperature = hot
    for _ in range(moves):
        if excess == 0.0:
            return 0.0
        temperature *= cooling
        a = int(draw(state) * n)
        if propose(c, a, sequence, position, device, window, members, move, part, state) < 0:
            continue
        threshold = energy - temperature * np.log(max(draw(state), 1e-300))
        haste = HASTE * decode(c, sequence, device, times) / unit
        then = np.inf
        if haste <= threshold:
            then = memory_excess(c, device, times, threshold - haste)
        if then + haste <= threshold or then == 0.0:
            excess, energy = then, then + haste
        else:
            take_back(c, sequence, position, device, members, move, part)
    decode(c, sequence, device, times)
    return excess


def find_within_memory(
    problem: Problem,
    schedule: Schedule,
    *,
    deadline: float,
    seed: int = 0,
    cancelled: Callable[[], bool] = lambda: False,
) -> Schedule | None:
    """Change a schedule until it keeps the memory limits.

    Parameters
    ----------
    problem : Problem
    schedule : Schedule
        A schedule that keeps every rule but the memory limits.
    deadline : float
        Value of ``time.monotonic()`` at which to give up.
    seed : int
    cancelled : callable
        Looked at about twenty times a second; true means give up.

    Returns
    -------
    Schedule or None
        None: nothing was found, which proves nothing.
    """
    columns = columns_of(problem)
    begin = decisions_of(columns, schedule)
    n, times = problem.graph.n_operators, empty_times(columns)
    window = whole_window(times)
    members = colocated(columns)
    state = np.array([seed * 2 + 88172645463325253], dtype=np.uint64)
    position = np.empty(n, dtype=np.int32)
    pace, seconds = Pace(1e4), 1.0
    while True:
        sequence, device = begin[0].copy(), begin[1].copy()
        position[sequence] = np.arange(n, dtype=np.int32)
        for warmer, colder in cooling(seconds, HOT, COLD):
            if cancelled() or time.monotonic() >= deadline:
                return None
            excess = _anneal(
                columns,
                sequence,
                position,
                device,
                times,
                window,
                members,
                max(schedule.makespan, 1e-300),
                warmer,
                colder,
                pace.moves(),
                state,
            )
            pace.took()
            if excess == 0.0:
                return schedule_of(problem, columns, device, times)
        seconds = min(LONGEST_RUN, seconds * LONGER)
