"""Quick templates: good schedules of placed pipelines without a solver, as starts for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from planner_core.baselines.block_templates import block_schedules, filled_block_schedules
from planner_core.baselines.layout import view_of
from planner_core.problem import NotApplicable, PlannerError, Problem
from planner_core.problem.graph import FloatArray
from planner_core.problem.pipeline import PHASES, PipelineView
from planner_core.schedule import Schedule, validate

GREEDY_OPERATORS = 20_000
"""Above this, greedy dispatch runs only if nothing quicker has found a schedule."""


def templates(problem: Problem) -> Iterator[tuple[str, Schedule]]:
    """Yield (name, schedule) of templates that solve a placed pipeline, quickest first.

    Linear pipelines: fixed warm-up counts, weight parts in the gaps. V and bidirectional ones:
    building blocks squeezed into the memory. Any placement: memory-safe greedy
    dispatch by several priorities. Nothing is yielded for other problems.

    Parameters
    ----------
    problem : Problem

    Yields
    ------
    name : str
    schedule : Schedule
        Validated.
    """
    found = False
    for name, schedule in quick_templates(problem):
        found = True
        yield name, schedule
    yield from compiled_templates(problem, enough=found)


def quick_templates(problem: Problem) -> Iterator[tuple[str, Schedule]]:
    """Yield those of :func:`templates` that need no compiled code."""
    yield from _valid(problem, block_schedules)


def compiled_templates(problem: Problem, *, enough: bool = False) -> Iterator[tuple[str, Schedule]]:
    """Yield those of :func:`templates` that need compiled code.

    With ``enough``, large problems do without the slow ones.
    """
    for source in (filled_block_schedules, _warm_up_schedules, _greedy_schedules):
        if enough and problem.graph.n_operators > GREEDY_OPERATORS:
            return
        for name, schedule in _valid(problem, source):
            enough = True
            yield name, schedule


def _valid(
    problem: Problem,
    source: Callable[[Problem, PipelineView], Iterator[tuple[str, Schedule]]],
) -> Iterator[tuple[str, Schedule]]:
    if not problem.is_placed:
        return
    try:
        view = view_of(problem)
    except NotApplicable:
        return
    for name, schedule in source(problem, view):
        if not validate(problem, schedule):
            yield name, schedule


def _warm_up_schedules(problem: Problem, view: PipelineView) -> Iterator[tuple[str, Schedule]]:
    # Imported here: those who only look at expert schedules need no numba.
    from planner_core.baselines.warm_up import warm_up_schedules

    yield from warm_up_schedules(problem, view)


def _greedy_schedules(problem: Problem, view: PipelineView) -> Iterator[tuple[str, Schedule]]:
    """Dispatch greedily and memory-safely, once per priority."""
    from planner_core.schedule.safe_order import safe_schedule

    for name, rank in _priorities(view):
        try:
            yield name, safe_schedule(problem, problem.fixed_device, rank)
        except PlannerError:
            return


def _priorities(view: PipelineView) -> Iterator[tuple[str, FloatArray]]:
    """Yield (name, urgency of every operator); older micro-batches are more urgent."""
    order = view.problem.graph.topological_order
    depth = np.empty(len(order))
    depth[order] = np.arange(len(order)) / max(1, len(order))
    phase = np.minimum(view.phase, len(PHASES) - 1)
    age = -view.micro_batch / max(1, view.n_micro_batches)
    # Urgency of F, I, W and the fused backward; what is further along goes first within them.
    for name, urgency in (
        ("greedy, backward first", np.array([1.0, 2.0, 0.0, 2.0])),
        ("greedy, forward first", np.array([2.0, 1.0, 0.0, 1.0])),
        ("greedy, weights early", np.array([0.0, 2.0, 1.0, 2.0])),
    ):
        yield name, urgency[phase] * 10 + age + depth * 1e-3
