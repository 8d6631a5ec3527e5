"""Urgencies for V-shaped pipelines: a period repeated, from the fullest memory to the least."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from planner_core.baselines.layout import Layout, lay_out, pipeline_devices
from planner_core.problem import NotApplicable, Problem
from planner_core.problem.graph import FloatArray
from planner_core.problem.pipeline import PipelineView

ADVANCES: tuple[tuple[str, float, float], ...] = (
    ("V-ZB", 4 / 6, 2 / 6),
    ("V-Half", 2 / 6, 1 / 6),
    ("V-Min", 1 / 6, 1 / 6),
)
"""Building blocks (Qi et al. 2024): share of a period that a micro-batch takes per device on its
legs down and on its legs up. The slower it travels, the more of them are under way."""


def v_urgencies(problem: Problem, view: PipelineView) -> Iterator[tuple[str, FloatArray]]:
    """Yield (name, urgency of every operator): minus its time in the repeated building block.

    Nothing is yielded unless the pipeline is placed as a V.
    """
    p = len(pipeline_devices(problem))
    try:
        layout = lay_out(problem, view, [[*range(p), *range(p - 1, -1, -1)]])
    except NotApplicable:
        return
    if layout.own_placement:
        return
    period = float(np.max(_loads(layout)))
    for name, down, up in ADVANCES:
        yield f"greedy, {name} block", -_block_times(layout, period, down * period, up * period)


def _loads(layout: Layout) -> FloatArray:
    """Mean time every rank works for a micro-batch; shape (p,)."""
    work = layout.costs.sum(axis=0).mean(axis=1)
    p = layout.n_ranks
    return work[:p] + work[p:][::-1]


def _block_times(layout: Layout, period: float, down: float, up: float) -> FloatArray:
    """Start of every operator when all micro-batches run like the first, a period apart."""
    p, view = layout.n_ranks, layout.view
    costs = layout.costs.mean(axis=2)
    advance = np.array([down] * p + [up] * p)
    start = np.zeros((2, 2 * p))  # of F by virtual stage, of I by virtual stage
    for v in range(1, 2 * p):
        lag = layout.lags.get(("F", v - 1, 0), 0.0)
        step = costs[0, v - 1] + lag
        start[0, v] = start[0, v - 1] + (step if v == p else max(advance[v], step))
    back = costs[1] + costs[3]
    start[1, -1] = start[0, -1] + costs[0, -1]
    for v in range(2 * p - 2, -1, -1):
        lag = layout.lags.get(("I", v + 1, 0), 0.0)
        step = back[v + 1] + lag
        turn = v == p - 1
        # The backward goes down the devices where the forward came up.
        start[1, v] = start[1, v + 1] + (step if turn else max(down if v >= p else up, step))
    group = view.stage // layout.stages_per_virtual
    first = np.where(view.phase == 0, start[0][group], start[1][group])
    times = first + period * np.maximum(view.micro_batch, 0)
    # Weight parts fill what is left.
    late = times.max() + 1.0
    return np.where((view.phase == 2) | (view.phase > 3), times + late, times)
