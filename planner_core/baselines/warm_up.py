"""Templates for linear pipelines: fixed warm-up counts, weight parts in the gaps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from planner_core.baselines.gap_filling import Sequences, best_filling
from planner_core.baselines.layout import Layout, lay_out
from planner_core.problem import NotApplicable, Problem
from planner_core.problem.pipeline import PipelineView
from planner_core.problem.placements import pipeline_devices
from planner_core.schedule import DeadlockError, Schedule, resident_memory, simulate


def warm_up_schedules(problem: Problem, view: PipelineView) -> Iterator[tuple[str, Schedule]]:
    """Yield the best schedule over warm-up counts and gap shares, if the pipeline is linear."""
    try:
        layout = lay_out(problem, view, [range(len(pipeline_devices(problem)))])
    except NotApplicable:
        return
    if layout.own_placement or not view.is_split:
        return
    m = layout.n_micro_batches
    rows = best_filling(layout, (_alternating(warm, m) for warm in _warm_up_counts(layout)))
    if rows is None:
        return
    try:
        yield "warm-up template", simulate(problem, layout.device, layout.order(rows)[0])
    except DeadlockError:
        return


def _alternating(warm: NDArray[np.int64], m: int) -> Sequences:
    """``warm[d]`` forwards, then backward and forward in turn, then the backwards left."""
    sequences = np.empty((len(warm), 2 * m, 3), dtype=np.int64)
    number = np.arange(m)
    for d, w in enumerate(warm):
        # Sort keys: backward i right before forward i + w.
        key = np.concatenate([number, number + w - 0.5])
        order = np.argsort(key, kind="stable")
        sequences[d, :, 0] = order >= m
        sequences[d, :, 1] = d
        sequences[d, :, 2] = order % m
    return sequences


def _warm_up_counts(layout: Layout) -> Iterator[NDArray[np.int64]]:
    """Yield forwards of each device before its first backward.

    From 1F1B's p − d, through what fills the wait for the first gradient, to twice as many;
    with less memory than that, in proportion to the wait.
    """
    p, m = layout.n_ranks, layout.n_micro_batches
    forward, back = layout.costs[0, :, 0], layout.costs[1, :, 0]
    # Way down from each device and back: what it can do meanwhile is warm up.
    away = np.zeros(p)
    for d in range(p - 2, -1, -1):
        lag = layout.lags.get(("F", d, 0), 0.0) + layout.lags.get(("I", d + 1, 0), 0.0)
        away[d] = forward[d + 1] + away[d + 1] + back[d + 1] + lag
    tiny = np.finfo(float).tiny
    wait = 1 + away / np.maximum(forward, tiny)
    behind = p - np.arange(p)
    held = np.array([layout.holdings["F", d, 0][0] for d in range(p)])
    limit = layout.problem.cluster.memory - resident_memory(layout.problem, layout.device)
    limit = limit[layout.ranks] * (1 + 1e-9)
    room = np.divide(limit, held, out=np.full(p, np.inf), where=held > tiny * np.maximum(limit, 0))
    most = np.maximum(1, np.floor(np.minimum(room, m)))
    short = most[0] * wait / wait[0]
    counts = (behind, 2 * behind - 1, np.floor(wait), np.ceil(wait), 2 * behind, 1.5 * behind)
    seen: set[bytes] = set()
    for count in (*counts, np.floor(short), np.round(short), np.ceil(short)):
        warm = np.minimum(np.maximum(count, 1), most).astype(np.int64)
        # A device never warms up less than the one below it.
        warm = np.maximum.accumulate(warm[::-1])[::-1].copy()
        if warm.tobytes() not in seen:
            seen.add(warm.tobytes())
            yield warm
