"""Every expert schedule behind one registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from planner_core.problem import RELATIVE_TOLERANCE, InputError, NotApplicable, Problem
from planner_core.schedule import Schedule, Violation, memory_profiles, validate

Scheduler = Callable[..., tuple[Problem, Schedule]]
"""(problem, settings by name) → the problem actually scheduled and its schedule."""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """One expert schedule or heuristic.

    Parameters
    ----------
    name : str
        As on the command line.
    title : str
        As on screen.
    reference : str
        Where it was published.
    schedule : callable
        ``schedule(problem, **settings)`` returns the problem actually scheduled (the given one,
        or the same operators on the baseline's own placement) and the schedule; it raises
        NotApplicable if the structure does not fit.
    applies : callable
        ``applies(problem)`` raises NotApplicable where ``schedule`` would, without scheduling;
        else it tells whether the problem allows the placement.
    settings : tuple of str
        Names of the settings ``schedule`` takes.
    aliases : tuple of str
        Other names it is known by.
    placement : str
        The placement it needs, for messages.
    """

    name: str
    title: str
    reference: str
    schedule: Scheduler
    applies: Callable[[Problem], bool]
    settings: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    placement: str = "own"


@dataclass(frozen=True, eq=False, kw_only=True)
class BaselineResult:
    """What a baseline makes of a problem.

    Parameters
    ----------
    name, title, reference : str
        Of the baseline.
    problem : Problem
        The problem actually scheduled: the same operators and durations, possibly on the
        baseline's own placement.
    schedule : Schedule
    own_placement : bool
        Whether the user's problem does not allow the placement; the schedule is then a
        comparison only.
    fits : bool
        Whether the schedule is a solution of the user's problem.
    violations : tuple of Violation
        What keeps it from being one, checked against ``problem``.
    over_memory : tuple of (device id, needed, limit)
        Devices whose memory limit it exceeds.
    reason : str or None
        Why it does not fit, one sentence.
    """

    name: str
    title: str
    reference: str
    problem: Problem
    schedule: Schedule
    own_placement: bool
    fits: bool
    violations: tuple[Violation, ...] = field(default=(), repr=False)
    over_memory: tuple[tuple[str, float, float], ...] = ()
    reason: str | None = None


class Registry:
    """Baselines by name and alias, in the order they were added."""

    def __init__(self, baselines: Iterable[Baseline] = ()) -> None:
        self._by_name: dict[str, Baseline] = {}
        self._aliases: dict[str, str] = {}
        for baseline in baselines:
            self.add(baseline)

    def add(self, baseline: Baseline) -> None:
        """Add a baseline.

        Raises
        ------
        ValueError
            If its name or an alias is taken.
        """
        for name in (baseline.name, *baseline.aliases):
            if name in self._by_name or name in self._aliases:
                raise ValueError(f"baseline '{name}' is registered twice")
        self._by_name[baseline.name] = baseline
        self._aliases.update(dict.fromkeys(baseline.aliases, baseline.name))

    def __iter__(self) -> Iterator[Baseline]:
        return iter(self._by_name.values())

    def __getitem__(self, name: str) -> Baseline:
        found = self._by_name.get(self._aliases.get(name, name))
        if found is None:
            raise InputError(
                f"there is no baseline '{name}'; choose from {', '.join(self._by_name)}"
            )
        return found


def evaluate(baseline: Baseline, problem: Problem, settings: dict[str, Any]) -> BaselineResult:
    """Run a baseline and judge its schedule against the user's problem.

    Raises
    ------
    NotApplicable
        If the structure of the problem does not fit the baseline.
    InputError
        If a setting is unknown or out of range.
    """
    for setting in settings:
        if setting not in baseline.settings:
            known = ", ".join(baseline.settings) or "none"
            raise InputError(
                f"baseline '{baseline.name}' has no setting '{setting}'; its settings: {known}"
            )
    scheduled, schedule = baseline.schedule(problem, **settings)
    own_placement = scheduled is not problem
    violations = validate(scheduled, schedule, allow_overlapped=True)
    over_memory = tuple(_over_memory(scheduled, schedule))
    reasons = []
    if own_placement:
        reasons.append(
            f"stages are placed otherwise: {baseline.title} runs on its own {baseline.placement} "
            "placement"
        )
    if len(schedule.overlapped):
        reasons.append(
            "its blocks overlap a forward and a backward on one stream, which is outside the "
            "problem model"
        )
    if over_memory:
        device, peak, limit = max(over_memory, key=lambda row: row[1] - row[2])
        unit = problem.memory_unit
        reasons.append(f"needs {peak:g} {unit} on {device}; the limit is {limit:g}")
    other = [v for v in violations if v.rule != "memory"]
    if other:
        reasons.append(other[0].message)
    return BaselineResult(
        name=baseline.name,
        title=baseline.title,
        reference=baseline.reference,
        problem=scheduled,
        schedule=schedule,
        own_placement=own_placement,
        fits=not reasons,
        violations=tuple(violations),
        over_memory=over_memory,
        reason="; ".join(reasons) or None,
    )


def reason_not_applicable(baseline: Baseline, problem: Problem) -> str | None:
    """Why a baseline cannot be run on a problem at all; None if it can."""
    try:
        baseline.applies(problem)
    except NotApplicable as reason:
        return str(reason)
    return None


def _over_memory(problem: Problem, schedule: Schedule) -> Iterable[tuple[str, float, float]]:
    limits = problem.cluster.memory
    if not np.isfinite(limits).any():
        return
    for k, profile in enumerate(memory_profiles(problem, schedule)):
        if profile.peak > limits[k] * (1 + RELATIVE_TOLERANCE):
            yield problem.cluster.device_ids[k], profile.peak, float(limits[k])
