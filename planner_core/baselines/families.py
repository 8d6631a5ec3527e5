"""The pipeline schedules of the literature as records for the registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from planner_core.baselines import chimera, dualpipe, hanayo, v_schedules, zb_v, zero_bubble
from planner_core.baselines import one_forward_one_backward as classic
from planner_core.baselines import zero_bubble_greedy as greedy
from planner_core.baselines.layout import Layout, Rows
from planner_core.baselines.registry import Baseline, Scheduler
from planner_core.problem import InputError, NotApplicable, Problem
from planner_core.schedule import Block, DeadlockError, Schedule, simulate

LayOut = Callable[..., Layout]
Order = Callable[[Layout], Rows]


def time_rows(
    layout: Layout, rows: Rows, overlapped_pair: float | None = None
) -> tuple[Problem, Schedule]:
    """Time what ranks run with the one simulator.

    Parameters
    ----------
    layout : Layout
    rows : Rows
    overlapped_pair : float, optional
        Time of a block of several actions; default the sum of its parts.

    Raises
    ------
    NotApplicable
        If dependencies of the problem contradict the order.
    """
    order, pairs = layout.order(rows)

    def block_time(block: Block) -> float | None:
        return overlapped_pair if block in pairs else None

    try:
        return layout.problem, simulate(layout.problem, layout.device, order, block_time)
    except DeadlockError as error:
        raise NotApplicable(f"this problem's dependencies contradict the order: {error}") from None


def _allowed(lay_out: LayOut) -> Callable[[Problem], bool]:
    return lambda problem: not lay_out(problem).own_placement


def _family(lay_out: LayOut, rows: Order) -> Scheduler:
    def schedule(problem: Problem, **settings: Any) -> tuple[Problem, Schedule]:
        layout = lay_out(problem, **settings)
        return time_rows(layout, rows(layout))

    return schedule


def _blocks(lay_out: LayOut, rows: Order) -> Scheduler:
    def schedule(
        problem: Problem, overlapped_pair: float | None = None
    ) -> tuple[Problem, Schedule]:
        if overlapped_pair is not None and not (0 < overlapped_pair < np.inf):
            raise InputError(
                f"overlapped_pair is {overlapped_pair:g}; it is a time, above 0 and finite"
            )
        layout = lay_out(problem)
        return time_rows(layout, rows(layout), overlapped_pair)

    return schedule


def _sequential(lay_out: LayOut, rows: Order) -> Scheduler:
    def schedule(problem: Problem, split_backward: bool = False) -> tuple[Problem, Schedule]:
        layout = lay_out(problem)
        split = split_backward and layout.view.is_split
        return time_rows(layout, dualpipe.sequential(rows(layout), split))

    return schedule


ZERO_BUBBLE = "Qi et al. 2023, Zero Bubble Pipeline Parallelism, arXiv 2401.10241"
CONTROLLABLE_MEMORY = (
    "Qi et al. 2024, Pipeline Parallelism with Controllable Memory, arXiv 2405.15362"
)
DUALPIPE = "DeepSeek-AI 2024, DeepSeek-V3 Technical Report, arXiv 2412.19437"

PIPELINE_BASELINES: tuple[Baseline, ...] = (
    Baseline(
        name="gpipe",
        title="GPipe",
        reference="Huang et al. 2019, GPipe, arXiv 1811.06965",
        schedule=_family(classic.linear, classic.gpipe),
        applies=_allowed(classic.linear),
        placement="linear",
    ),
    Baseline(
        name="1f1b",
        title="1F1B",
        reference="Narayanan et al. 2019, PipeDream, SOSP; Fan et al. 2021, DAPPLE, PPoPP",
        schedule=_family(classic.linear, classic.one_forward_one_backward),
        applies=_allowed(classic.linear),
        placement="linear",
    ),
    Baseline(
        name="interleaved-1f1b",
        title="Interleaved 1F1B",
        reference="Narayanan et al. 2021, Megatron-LM, arXiv 2104.04473",
        schedule=_family(classic.interleaved, classic.interleaved_one_forward_one_backward),
        applies=_allowed(classic.interleaved),
        settings=("chunks",),
        placement="interleaved",
    ),
    Baseline(
        name="zb-h1",
        title="ZB-H1 (ZB-1P)",
        reference=ZERO_BUBBLE,
        schedule=_family(zero_bubble.split_linear, zero_bubble.zb_h1),
        applies=_allowed(zero_bubble.split_linear),
        aliases=("zb-1p",),
        placement="linear",
    ),
    Baseline(
        name="zb-h2",
        title="ZB-H2 (ZB-2P)",
        reference=ZERO_BUBBLE,
        schedule=_family(zero_bubble.split_linear, zero_bubble.zb_h2),
        applies=_allowed(zero_bubble.split_linear),
        aliases=("zb-2p",),
        placement="linear",
    ),
    Baseline(
        name="zb-greedy",
        title="Zero Bubble greedy",
        reference=ZERO_BUBBLE + ", section 4.1",
        schedule=_family(zero_bubble.split_linear, greedy.zb_greedy),
        applies=_allowed(zero_bubble.split_linear),
        placement="linear",
    ),
    Baseline(
        name="zb-v",
        title="ZB-V",
        reference=CONTROLLABLE_MEMORY + ", V-ZB",
        schedule=_family(zb_v.zb_v_layout, zb_v.zb_v),
        applies=_allowed(zb_v.zb_v_layout),
        placement="V",
    ),
    Baseline(
        name="v-half",
        title="V-Half",
        reference=CONTROLLABLE_MEMORY,
        schedule=_family(v_schedules.v_half_layout, v_schedules.v_half),
        applies=_allowed(v_schedules.v_half_layout),
        placement="V",
    ),
    Baseline(
        name="v-min",
        title="V-Min",
        reference=CONTROLLABLE_MEMORY,
        schedule=_family(v_schedules.v_min_layout, v_schedules.v_min),
        applies=_allowed(v_schedules.v_min_layout),
        placement="V",
    ),
    Baseline(
        name="dualpipe",
        title="DualPipe (blocks)",
        reference=DUALPIPE,
        schedule=_blocks(dualpipe.bidirectional, dualpipe.dualpipe),
        applies=_allowed(dualpipe.bidirectional),
        settings=("overlapped_pair",),
        placement="bidirectional",
    ),
    Baseline(
        name="dualpipe-sequential",
        title="DualPipe (sequential)",
        reference=DUALPIPE + "; its order run one operator after the other",
        schedule=_sequential(dualpipe.bidirectional, dualpipe.dualpipe),
        applies=_allowed(dualpipe.bidirectional),
        settings=("split_backward",),
        placement="bidirectional",
    ),
    Baseline(
        name="dualpipev",
        title="DualPipeV (blocks)",
        reference="Sea AI Lab 2025, Cut-in-half; DeepSeek-AI 2025, DualPipeV",
        schedule=_blocks(dualpipe.dualpipev_layout, dualpipe.dualpipev),
        applies=_allowed(dualpipe.dualpipev_layout),
        settings=("overlapped_pair",),
        placement="V",
    ),
    Baseline(
        name="dualpipev-sequential",
        title="DualPipeV (sequential)",
        reference="DeepSeek-AI 2025, DualPipeV; its order run one operator after the other",
        schedule=_sequential(dualpipe.dualpipev_layout, dualpipe.dualpipev),
        applies=_allowed(dualpipe.dualpipev_layout),
        settings=("split_backward",),
        placement="V",
    ),
    Baseline(
        name="chimera",
        title="Chimera",
        reference="Li and Hoefler 2021, Chimera, arXiv 2107.06925",
        schedule=_family(chimera.chimera_layout, chimera.chimera),
        applies=_allowed(chimera.chimera_layout),
        placement="bidirectional",
    ),
    Baseline(
        name="hanayo",
        title="Hanayo",
        reference="Liu et al. 2023, Hanayo, arXiv 2308.15762",
        schedule=_family(hanayo.waves, hanayo.hanayo),
        applies=_allowed(hanayo.waves),
        settings=("waves",),
        placement="wave",
    ),
)
