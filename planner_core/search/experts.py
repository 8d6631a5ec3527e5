"""Expert schedules of any graph: where stages are missing, on the best contiguous ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from planner_core.baselines import REGISTRY
from planner_core.baselines.registry import (
    Baseline,
    BaselineResult,
    evaluate,
    reason_not_applicable,
)
from planner_core.merging import derived_stages
from planner_core.problem import InputError, NotApplicable, Problem
from planner_core.problem.placements import pipeline_devices

SLACKS: tuple[float, ...] = (0.0, 0.1)
"""By how much the heaviest stage may be heavier for cheaper transfers: what is tried."""

VARIANT_OPERATORS = 20_000
"""Larger graphs get one partition per placement."""


class StageVariants:
    """The partitions :func:`stage_variants` yields of one problem, each derived once.

    Parameters
    ----------
    problem : Problem
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._known: dict[tuple[str, int], list[Problem] | NotApplicable] = {}

    def of(self, placement: str, chunks: int) -> list[Problem]:
        """Return the partitions for a placement; NotApplicable as of :func:`stage_variants`."""
        key = placement, chunks
        if key not in self._known:
            try:
                self._known[key] = list(stage_variants(self.problem, placement, chunks))
            except NotApplicable as error:
                self._known[key] = error
        known = self._known[key]
        if isinstance(known, NotApplicable):
            raise known
        return known


def run_expert(
    name: str, problem: Problem, *, variants: StageVariants | None = None, **settings: Any
) -> BaselineResult:
    """Run one baseline, on derived stages if the problem's operators have none.

    The partitions that :func:`stage_variants` yields are tried; the shortest schedule that fits
    is returned, or the shortest of all if none fits.

    Parameters
    ----------
    name : str
        Name or alias, see :func:`available_experts`.
    problem : Problem
    variants : StageVariants, optional
        Of the problem: saves deriving stages anew where several baselines are run.
    **settings
        The baseline's own.

    Raises
    ------
    NotApplicable
        If the structure of the problem does not fit; the text says why.
    InputError
        If the name or a setting is unknown.
    """
    baseline = REGISTRY[name]
    if not needs_stages(problem, baseline):
        return evaluate(baseline, problem, settings)
    best: BaselineResult | None = None
    reason: NotApplicable | None = None
    for staged in (variants or StageVariants(problem)).of(*_placement(baseline, settings)):
        try:
            result = evaluate(baseline, staged, settings)
        except NotApplicable as error:
            reason = error
            continue
        if best is None or _key(result) < _key(best):
            best = result
    if best is None:
        raise reason or NotApplicable("the graph has no contiguous stages")
    forbidden = any(violation.rule == "assignment" for violation in best.violations)
    return replace(best, own_placement=best.own_placement or forbidden)


def available_experts(problem: Problem) -> list[tuple[str, str, str | None]]:
    """Return (name, title, why it is not applicable or None) of every baseline."""
    return [(b.name, b.title, _why_not(b, problem)) for b in REGISTRY]


def needs_stages(problem: Problem, baseline: Baseline) -> bool:
    """Whether a baseline is for pipelines and the problem's operators have no stages."""
    return baseline.placement in _PLACEMENTS and bool(np.any(problem.template.stage < 0))


def stage_variants(problem: Problem, placement: str, chunks: int) -> Iterator[Problem]:
    """Yield placed problems with derived stages: several orders of unlike devices and slacks.

    Raises
    ------
    NotApplicable
        If there is no partition at all.
    """
    orders = rank_orders(problem)
    slacks = SLACKS
    if problem.template.n_operators * problem.micro_batches > VARIANT_OPERATORS:
        orders, slacks = orders[:1], slacks[:1]
    seen: set[bytes] = set()
    reason: NotApplicable | None = None
    for ranks in orders:
        for slack in slacks:
            try:
                staged = derived_stages(
                    problem,
                    placement=placement,
                    chunks=chunks,
                    ranks=ranks,
                    slack=slack,
                    placed=True,
                )
            except NotApplicable as error:
                reason = error
                continue
            key = staged.template.stage.tobytes() + bytes(str(ranks), "ascii")
            if key not in seen:
                seen.add(key)
                yield staged
    if not seen and reason is not None:
        raise reason


def rank_orders(problem: Problem) -> list[list[int]]:
    """Orders of devices worth trying: the cluster's; unlike devices by speed, either way."""
    devices = pipeline_devices(problem)
    table = problem.durations[: problem.template.n_operators]
    times = np.where(np.isfinite(table), table, 0.0).sum(axis=0)
    fast_first = sorted(devices, key=lambda k: float(times[k]))
    orders = [devices]
    if len(np.unique(times[devices])) > 1:
        orders += [fast_first, fast_first[::-1]]
    return [list(order) for order in dict.fromkeys(map(tuple, orders))]


_PLACEMENTS = {
    "linear": "linear",
    "interleaved": "interleaved",
    "V": "v",
    "bidirectional": "bidirectional",
    "wave": "wave",
}
"""Placement as baselines call it, and as stages are derived for it."""


def _placement(baseline: Baseline, settings: dict[str, Any]) -> tuple[str, int]:
    """Placement and chunks per device that a baseline needs."""
    chunks = settings.get("chunks") or 2 * (settings.get("waves") or 1)
    if not isinstance(chunks, int) or chunks < 1:
        raise InputError(f"chunks is {chunks}; it must be a whole number, 1 or more")
    return _PLACEMENTS[baseline.placement], chunks


def _why_not(baseline: Baseline, problem: Problem) -> str | None:
    if not needs_stages(problem, baseline):
        return reason_not_applicable(baseline, problem)
    try:
        staged = next(stage_variants(problem, *_placement(baseline, {})))
    except NotApplicable as error:
        return str(error)
    return reason_not_applicable(baseline, staged)


def _key(result: BaselineResult) -> tuple[bool, float]:
    return not result.fits, result.schedule.makespan
