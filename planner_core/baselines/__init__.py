"""Expert schedules and heuristics behind one registry, and quick templates for good starts."""

from __future__ import annotations

from typing import Any

from planner_core.baselines.families import PIPELINE_BASELINES
from planner_core.baselines.registry import (
    Baseline,
    BaselineResult,
    Registry,
    evaluate,
    reason_not_applicable,
)
from planner_core.problem import NotApplicable, Problem

REGISTRY = Registry(PIPELINE_BASELINES)
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


__all__ = [
    "PIPELINE_BASELINES",
    "REGISTRY",
    "Baseline",
    "BaselineResult",
    "Registry",
    "all_baselines",
    "available",
    "run_baseline",
]
