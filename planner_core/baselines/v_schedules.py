"""V-Half and V-Min: a building block repeated, then squeezed without raising its peak memory."""

from __future__ import annotations

import numpy as np

from planner_core.baselines.building_blocks import rows_from_block
from planner_core.baselines.dualpipe import v_shaped
from planner_core.baselines.layout import Layout, Rows
from planner_core.baselines.zero_bubble import require_split
from planner_core.problem import Problem


def v_half_layout(problem: Problem) -> Layout:
    """V-shaped placement of a pipeline whose backward is split.

    Raises
    ------
    NotApplicable
        If the stages do not divide or a backward is in one piece.
    """
    return require_split(v_shaped(problem, "V-Half"))


def v_min_layout(problem: Problem) -> Layout:
    """V-shaped placement of a pipeline whose backward is split.

    Raises
    ------
    NotApplicable
        If the stages do not divide or a backward is in one piece.
    """
    return require_split(v_shaped(problem, "V-Min"))


def v_half(layout: Layout) -> Rows:
    """V-Half (Qi et al. 2024): half of 1F1B's activations, (p + 2) // 2 per device.

    The legs down advance two slots per device, the legs up one.
    """
    p, d = layout.n_ranks, np.arange(layout.n_ranks)
    wait = 3 if p % 2 == 0 else 0
    block = [2 * d, 3 * p - d - 2, 3 * p + 2 * d - 1 + wait, 6 * p - d - 2 + wait]
    return rows_from_block(layout, np.stack(block, axis=1))


def v_min(layout: Layout) -> Rows:
    """V-Min (Qi et al. 2024): a third of 1F1B's activations, (p + 4) // 3 per device.

    Every leg advances one slot per device.
    """
    p, d = layout.n_ranks, np.arange(layout.n_ranks)
    wait = 2 if p % 3 == 0 else 0
    block = [d, 2 * p - d - 1, 2 * p + d + wait, 4 * p - d - 1 + wait]
    return rows_from_block(layout, np.stack(block, axis=1))
