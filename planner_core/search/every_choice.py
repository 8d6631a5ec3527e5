"""Few choices of alternatives: plan each, until a bound rules out all that are left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from planner_core.bounds.alternatives import measure_bound
from planner_core.problem import InputError, Problem
from planner_core.problem.alternatives import SplitProblem
from planner_core.schedule import Plan, proves_optimal
from planner_core.search.choices import BestOfChoices, Choice, all_choices
from planner_core.search.infeasible import why_infeasible
from planner_core.search.planner import plan
from planner_core.search.progress import Cancellation, Options, Progress
from planner_core.search.state import Clock

SHORTEST = 0.5
"""Seconds a choice gets at least."""

PATIENCE = 0.5
"""Share of the time left that one of several choices may get."""


class _Candidate:
    """One choice, the problem it makes, and what is known of it."""

    def __init__(self, choice: Choice, problem: Problem) -> None:
        self.choice, self.problem = choice, problem
        self.plan: Plan | None = None
        self.reason = why_infeasible(problem)
        bound = measure_bound(problem)
        self.bound = np.inf if self.reason is not None else bound.value
        self.proved_by: str | None = bound.name
        self.planned = 0

    def take(self, found: Plan) -> None:
        """Keep what a search came to."""
        self.planned += 1
        if found.status == "infeasible":
            self.bound, self.reason = np.inf, found.reason
            return
        if found.lower_bound is not None and found.lower_bound > self.bound:
            self.bound, self.proved_by = found.lower_bound, found.proved_by
        if found.status == "optimal" and found.value is not None:
            self.bound = found.value
        if self.plan is None or _value(found) < _value(self.plan):
            self.plan = found


class EveryChoice:
    """Plans all choices, the one with the least bound first.

    Parameters
    ----------
    split : SplitProblem
    options : Options
    clock : Clock
    told : BestOfChoices
    cancel : threading.Event
    choices : iterable of Choice, optional
        Default all. Those left out are known to be no better than what ``told`` has.
    """

    def __init__(
        self,
        split: SplitProblem,
        options: Options,
        clock: Clock,
        told: BestOfChoices,
        cancel: Cancellation,
        choices: Iterable[Choice] | None = None,
    ) -> None:
        self.split, self.options, self.clock = split, options, clock
        self.told, self.cancel = told, cancel
        self.choices = all_choices(split) if choices is None else choices

    def run(self) -> tuple[Plan, Choice]:
        """Return the best plan, with a bound over all choices, and its choice.

        Raises
        ------
        InputError
            If no choice can be expanded on the cluster.
        """
        candidates = self._candidates()
        best: _Candidate | None = None
        one = len(self.split.problem.objective.minimize) == 1
        while not self.cancel.is_set():
            value = np.inf if best is None else _value(best.plan)
            if one:  # further measures need a search even where the first is proved
                value = min(value, self.told.value)
            open_ = [c for c in candidates if self._is_open(c, value)]
            if not open_ or (self.clock.remaining < SHORTEST and self.told.found is not None):
                break
            # What has had least time comes first, so that each is looked at before any is proved.
            candidate = min(open_, key=lambda c: (c.planned, c.bound))
            candidate.take(self._planned(candidate, len(open_), candidates))
            if candidate.plan is not None and (best is None or _value(candidate.plan) < value):
                best = candidate
            if self.clock.remaining <= 0:
                break
        return self._answer(candidates, best)

    def _candidates(self) -> list[_Candidate]:
        found, fault = [], InputError("there is no choice of alternatives")
        for choice in self.choices:
            try:
                found.append(_Candidate(choice, self.split.expand(choice)))
            except InputError as error:  # more shards than devices
                fault = error
        if not found:
            raise fault
        return found

    @staticmethod
    def _is_open(candidate: _Candidate, value: float) -> bool:
        """Whether a choice may have a better schedule than the best one."""
        if np.isinf(candidate.bound):
            return False
        return np.isinf(value) or not proves_optimal(value, min(candidate.bound, value))

    def _planned(self, candidate: _Candidate, n_open: int, candidates: list[_Candidate]) -> Plan:
        """Plan a choice for a share of the time left."""
        share = 1.0 if n_open == 1 else max(1.0 / n_open, PATIENCE if n_open < 4 else 0.0)
        seconds = max(SHORTEST, share * self.clock.remaining)

        take = self.told.relay(candidate.choice, candidate.problem)

        def relay(event: Progress) -> None:
            bounds = [(c.bound, c.proved_by) for c in candidates if c is not candidate]
            bounds.append((max(candidate.bound, event.lower_bound or 0.0), event.proved_by))
            self.told.raise_bound(*min(bounds, key=lambda row: row[0]))
            take(event)

        options = replace(self.options, time_limit=min(seconds, max(0.1, self.clock.remaining)))
        return plan(candidate.problem, options, relay, self.cancel)

    def _answer(self, candidates: list[_Candidate], best: _Candidate | None) -> tuple[Plan, Choice]:
        lowest = min(candidates, key=lambda c: c.bound)
        if best is None:
            return self._without_schedule(candidates, lowest)
        assert best.plan is not None
        if len(candidates) == 1:
            return best.plan, best.choice
        value = _value(best.plan)
        bound = min(lowest.bound, value)
        proved_by = lowest.proved_by if lowest.bound <= value else best.plan.proved_by
        # Further measures of a lexicographic objective are proved of the plan's choice only.
        one = len(best.problem.objective.minimize) == 1
        status = "optimal" if one and proves_optimal(value, bound) else "feasible"
        named = f"{proved_by or 'bound'}, over all alternatives"
        return replace(best.plan, status=status, lower_bound=bound, proved_by=named), best.choice

    def _without_schedule(
        self, candidates: list[_Candidate], lowest: _Candidate
    ) -> tuple[Plan, Choice]:
        if np.isinf(lowest.bound):
            reason = lowest.reason
            if len(candidates) > 1:
                reason = (
                    f"none of the {len(candidates)} choices of alternatives has a schedule; of "
                    f"the first: {candidates[0].reason}"
                )
            plan_ = Plan(problem=candidates[0].problem, status="infeasible", reason=reason)
            return plan_, candidates[0].choice
        found = lowest.plan or Plan(problem=lowest.problem, status="unknown")
        return replace(found, lower_bound=lowest.bound, proved_by=lowest.proved_by), lowest.choice


def _value(found: Plan | None) -> float:
    return np.inf if found is None or found.value is None else found.value
