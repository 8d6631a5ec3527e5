"""Expert schedules and heuristics behind one registry, and quick templates for good starts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from planner_core.baselines.families import PIPELINE_BASELINES
from planner_core.baselines.general import GENERAL_BASELINES
from planner_core.baselines.registry import (
    Baseline,
    BaselineResult,
    Registry,
    evaluate,
    reason_not_applicable,
)
from planner_core.baselines.templates import compiled_templates, quick_templates, templates
from planner_core.problem import NotApplicable, PlannerError, Problem
from planner_core.schedule import Schedule

REGISTRY = Registry((*PIPELINE_BASELINES, *GENERAL_BASELINES))
"""All baselines by name."""


def run_baseline(name: str, problem: Problem, **settings: Any) -> BaselineResult:
    """Run one baseline on a problem.

    Parameters
    ----------
    name : str
        Name or alias, see :func:`available`.
    problem : Problem
    **settings
        The baseline's own, e.g. ``overlapped_pair`` of DualPipe, ``chunks``, ``waves``.

    Raises
    ------
    NotApplicable
        If the structure of the problem does not fit; the text says why.
    InputError
        If the name or a setting is unknown.
    """
    return evaluate(REGISTRY[name], problem, settings)


def available(problem: Problem) -> list[tuple[str, str, str | None]]:
    """Return (name, title, why it is not applicable or None) of every baseline."""
    return [(b.name, b.title, reason_not_applicable(b, problem)) for b in REGISTRY]


def all_baselines(problem: Problem) -> list[BaselineResult]:
    """Run every baseline that applies, with its default settings."""
    results = []
    for baseline in REGISTRY:
        try:
            results.append(evaluate(baseline, problem, {}))
        except NotApplicable:
            continue
    return results


def expert_schedules(problem: Problem) -> Iterator[tuple[str, Schedule]]:
    """Yield (title, schedule) of every expert schedule that solves the problem."""
    for baseline in PIPELINE_BASELINES:
        try:
            if not baseline.applies(problem):
                continue
            result = evaluate(baseline, problem, {})
        except PlannerError:
            continue
        if result.fits:
            yield result.title, result.schedule


def fitting_schedules(problem: Problem) -> Iterator[tuple[str, Schedule]]:
    """Yield (name, schedule) of everything here that solves the problem, quickest first.

    Expert schedules, then templates, then list schedulers; each validated.
    """
    yield from expert_schedules(problem)
    yield from templates(problem)
    from planner_core.baselines.list_scheduling import list_schedules

    yield from list_schedules(problem)


__all__ = [
    "GENERAL_BASELINES",
    "PIPELINE_BASELINES",
    "REGISTRY",
    "Baseline",
    "BaselineResult",
    "Registry",
    "all_baselines",
    "available",
    "compiled_templates",
    "expert_schedules",
    "fitting_schedules",
    "quick_templates",
    "run_baseline",
    "templates",
]
