"""Templates for linear pipelines: fixed warm-up counts, weight parts in the gaps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner_core.baselines.layout import Layout, Rows, lay_out, pipeline_devices
from planner_core.problem import NotApplicable, Problem
from planner_core.problem.graph import FloatArray
from planner_core.problem.pipeline import PipelineView
from planner_core.schedule import DeadlockError, Schedule, resident_memory, simulate

GAP_SHARES: tuple[float, ...] = (0.0, 0.1, 0.3, 0.6, 1.0)
"""A weight part fills a gap of at least this share of its own time."""

_LETTERS = "FIW"


def warm_up_schedules(problem: Problem, view: PipelineView) -> Iterator[tuple[str, Schedule]]:
    """Yield the best schedule over warm-up counts and gap shares, if the pipeline is linear."""
    try:
        layout = lay_out(problem, view, [range(len(pipeline_devices(problem)))])
    except NotApplicable:
        return
    if layout.own_placement or not view.is_split:
        return
    best_rows, best_time = None, np.inf
    columns = _columns(layout)
    for warm in _warm_up_counts(layout):
        for share in GAP_SHARES:
            order, time = _alternate(*columns, warm, share)
            if time < best_time:
                best_rows, best_time = order, time
    if best_rows is None:
        return
    rows: Rows = [
        [(_LETTERS[letter], d, int(i)) for letter, i in row] for d, row in enumerate(best_rows)
    ]
    try:
        yield "warm-up template", simulate(problem, layout.device, layout.order(rows)[0])
    except DeadlockError:
        return


Columns = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


def _columns(layout: Layout) -> Columns:
    """Costs (3, p, m), lags (2, p), memory taken and freed (2, 3, p) and room (p,)."""
    p = layout.n_ranks
    lags = np.array([[layout.lags.get((letter, d, 0), 0.0) for d in range(p)] for letter in "FI"])
    holds = [[layout.holdings[letter, d, 0] for d in range(p)] for letter in _LETTERS]
    limit = layout.problem.cluster.memory * (1 + 1e-12)
    room = (limit - resident_memory(layout.problem, layout.device))[layout.ranks]
    return layout.costs[:3], lags, np.moveaxis(np.array(holds), 2, 0), room


def _warm_up_counts(layout: Layout) -> Iterator[NDArray[np.int64]]:
    """Yield forwards of each device before its first backward.

    From 1F1B's p − d, through what fills the wait for the first gradient, to twice as many;
    with less memory than that, in proportion to the wait.
    """
    p, m = layout.n_ranks, layout.n_micro_batches
    costs, lags, holds, room = _columns(layout)
    forward, back = costs[0, :, 0], costs[1, :, 0]
    # Way down from each device and back: what it can do meanwhile is warm up.
    away = np.zeros(p)
    for d in range(p - 2, -1, -1):
        away[d] = lags[0, d] + forward[d + 1] + away[d + 1] + back[d + 1] + lags[1, d + 1]
    wait = 1 + away / np.maximum(forward, np.finfo(float).tiny)
    behind = p - np.arange(p)
    held = np.maximum(holds[0, 0], np.finfo(float).tiny)
    most = np.maximum(1, np.minimum(m, np.floor(np.minimum(room / held, m))))
    seen: set[bytes] = set()
    short = most[0] * wait / wait[0]
    counts = (behind, 2 * behind - 1, np.floor(wait), np.ceil(wait), 2 * behind, 1.5 * behind)
    for count in (*counts, np.floor(short), np.round(short), np.ceil(short)):
        warm = np.minimum(np.maximum(count, 1), most).astype(np.int64)
        # A device never warms up less than the one below it.
        warm = np.maximum.accumulate(warm[::-1])[::-1].copy()
        if warm.tobytes() not in seen:
            seen.add(warm.tobytes())
            yield warm


@njit(cache=True)
def _alternate(costs, lags, holds, room, warm, share):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Order (p, 3m, 2) of letters and micro-batches, and its makespan; inf if memory blocks."""
    _, p, m = costs.shape
    order = np.zeros((p, 3 * m, 2), np.int64)
    length = np.zeros(p, np.int64)
    count = np.zeros((3, p), np.int64)
    end = np.full((2, p, m), -1.0)
    free = np.zeros(p)
    used = np.zeros(p)
    moved = True
    while moved:
        moved = False
        for d in range(p):
            while count[1, d] < m:
                # Warm up, then a backward whenever the warm-up is in flight, else a forward.
                ahead = count[0, d] - count[1, d]
                letter = 0 if count[0, d] < m and ahead < warm[d] else 1
                i = count[letter, d]
                there = 0.0
                if letter == 0 and d > 0:
                    there = end[0, d - 1, i]
                elif letter == 1:
                    there = end[1, d + 1, i] if d < p - 1 else end[0, d, i]
                if there < 0.0:
                    break
                if letter == 0 and d > 0:
                    there += lags[0, d - 1]
                elif letter == 1 and d < p - 1:
                    there += lags[1, d + 1]
                while count[2, d] < count[1, d]:
                    gap = there - free[d]
                    blocked = used[d] + holds[0, letter, d] > room[d]
                    if not blocked and (gap <= 0.0 or gap < share * costs[2, d, count[2, d]]):
                        break
                    _run(2, d, free[d], costs, holds, order, length, count, free, used)
                if used[d] + holds[0, letter, d] > room[d]:
                    return order, np.inf
                start = max(free[d], there)
                _run(letter, d, start, costs, holds, order, length, count, free, used)
                end[letter, d, i] = free[d]
                moved = True
    for d in range(p):
        if count[1, d] < m:
            return order, np.inf
        while count[2, d] < m:
            _run(2, d, free[d], costs, holds, order, length, count, free, used)
    return order, free.max()


@njit(cache=True)
def _run(letter, d, start, costs, holds, order, length, count, free, used):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    i = count[letter, d]
    order[d, length[d], 0] = letter
    order[d, length[d], 1] = i
    length[d] += 1
    count[letter, d] += 1
    free[d] = start + costs[letter, d, i]
    used[d] += holds[0, letter, d] - holds[1, letter, d]
