"""Choose one alternative per operator: run it whole, or split it over devices.

Every choice expands to an ordinary problem. Where there are few choices all are planned, the
most promising first, until a bound rules out the rest; of many, a local search finds good ones
(:mod:`planner_core.search.choice_search`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from planner_core.baselines.first_schedules import first_schedules
from planner_core.problem import InputError, check_problem
from planner_core.problem.alternatives import SplitProblem
from planner_core.schedule import Plan
from planner_core.search.choices import (
    BestOfChoices,
    Choice,
    Found,
    all_choices,
    count_choices,
    uniform_choices,
)
from planner_core.search.progress import Cancellation, OnProgress, Options
from planner_core.search.state import Clock

FEW_CHOICES = 200
"""Up to so many choices all are planned."""

FIRST_LOOK = 0.1
"""Share of the time that first schedules of choices may take."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SplitPlan:
    """A plan and the alternative it takes for every operator that has some.

    Parameters
    ----------
    plan : Plan
        Of the expanded problem; bound and status hold for all choices together, not for the one
        chosen only.
    choice : mapping of operator id to alternative id
    """

    plan: Plan
    choice: Mapping[str, str]


def plan_split(
    split: SplitProblem,
    options: Options | None = None,
    on_progress: OnProgress | None = None,
    cancel: Cancellation | None = None,
) -> SplitPlan:
    """Choose an alternative per operator and plan the expanded problem.

    Parameters
    ----------
    split : SplitProblem
    options, on_progress, cancel
        As for :func:`planner_core.search.plan`; the time limit covers choosing and planning. An
        event with a schedule carries the expanded problem that it is of.

    Returns
    -------
    SplitPlan

    Raises
    ------
    InputError
        If the problem is not sound or no choice can be expanded on its cluster.
    """
    check_problem(split.problem)
    options, cancel = options or Options(), cancel or Cancellation()
    clock = Clock.start(options.time_limit)
    best = BestOfChoices(split, clock, on_progress)
    few = count_choices(split) <= FEW_CHOICES
    # Before the imports: on a fresh machine those and the first compilation take seconds.
    _offer_first(split, all_choices(split) if few else uniform_choices(split), best)
    if few:
        from planner_core.search.every_choice import EveryChoice

        found, choice = EveryChoice(split, options, clock, best, cancel).run()
    else:
        from planner_core.search.choice_search import search_choices

        found, choice = search_choices(split, options, clock, best, cancel)
    found, choice = best.plan(found, choice)
    return SplitPlan(plan=replace(found, seconds=clock.elapsed), choice=choice)


def _offer_first(split: SplitProblem, choices: Iterator[Choice], best: BestOfChoices) -> None:
    """Offer schedules without compiled code of choices, until a little of the time is spent."""
    end = best.clock.elapsed + FIRST_LOOK * best.clock.remaining
    for choice in choices:
        try:
            problem = split.expand(choice)
        except InputError:
            continue  # more shards than devices
        for name, schedule in first_schedules(problem):
            best.offer(Found(choice, problem, schedule, name), "first schedules")
        if best.clock.elapsed > end and best.found is not None:
            return
