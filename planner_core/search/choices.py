"""Choices of alternatives, and the best schedule of any of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from planner_core.problem import Problem
from planner_core.problem.alternatives import Alternative, SplitProblem
from planner_core.schedule import Plan, Schedule, measure, proves_optimal, validate
from planner_core.search.progress import OnProgress, Progress
from planner_core.search.state import Clock

Choice = dict[str, str]
"""Alternative of every operator that has some."""


@dataclass(frozen=True, eq=False)
class Found:
    """A schedule of one choice."""

    choice: Choice
    problem: Problem
    schedule: Schedule
    found_by: str


class BestOfChoices:
    """The best schedule of any choice so far, told of as the progress of one search.

    Parameters
    ----------
    split : SplitProblem
    clock : Clock
        Of the whole search.
    on_progress : callable or None
    """

    def __init__(self, split: SplitProblem, clock: Clock, on_progress: OnProgress | None) -> None:
        self.measure_name = split.problem.objective.primary
        self.clock, self.on_progress = clock, on_progress
        self.value, self.bound = np.inf, 0.0
        self.found: Found | None = None
        self.proved_by: str | None = None
        self._lock = threading.RLock()

    def offer(self, found: Found, phase: str) -> bool:
        """Take a schedule if it is valid and better; say whether it was taken."""
        value = measure(self.measure_name, found.problem, found.schedule)
        if not value < self.value or validate(found.problem, found.schedule):
            return False
        with self._lock:
            if not value < self.value:
                return False
            self.value, self.found = value, found
            self._tell(Progress(phase=phase, elapsed=0.0), found)
        return True

    def raise_bound(self, bound: float, proved_by: str | None) -> None:
        """Take a bound over all choices if it is better."""
        with self._lock:
            if bound > self.bound:
                self.bound, self.proved_by = bound, proved_by
                self._tell(Progress(phase="bound over all choices", elapsed=0.0))

    def relay(self, choice: Choice, problem: Problem) -> OnProgress:
        """Return what takes the events of a search for the schedule of one choice."""

        def take(event: Progress) -> None:
            if event.schedule is not None:
                found = Found(choice, problem, event.schedule, event.found_by or "search")
                if self.offer(found, event.phase):
                    return
            with self._lock:
                self._tell(event)

        return take

    def plan(self, found: Plan, choice: Choice) -> tuple[Plan, Choice]:
        """Return a plan over all choices, or the best schedule told of where that is better."""
        best = self.found
        if best is None or (found.value is not None and found.value <= self.value):
            return found, choice
        bound = min(self.bound if found.lower_bound is None else found.lower_bound, self.value)
        one = len(best.problem.objective.minimize) == 1
        better = replace(
            found,
            problem=best.problem,
            status="optimal" if one and proves_optimal(self.value, bound) else "feasible",
            schedule=best.schedule,
            value=self.value,
            lower_bound=bound,
            found_by=best.found_by,
            reason=None,
        )
        return better, best.choice

    def _tell(self, event: Progress, found: Found | None = None) -> None:
        if self.on_progress is None:
            return
        least = min(self.bound, self.value)
        self.on_progress(
            replace(
                event,
                elapsed=self.clock.elapsed,
                incumbent=None if self.found is None else self.value,
                lower_bound=least,
                schedule=None if found is None else found.schedule,
                problem=None if found is None else found.problem,
                found_by=None if self.found is None else self.found.found_by,
                proved_by=self.proved_by,
            )
        )


def count_choices(split: SplitProblem) -> float:
    """Return how many choices there are."""
    return float(np.prod([float(len(row)) for row in split.alternatives.values()]))


def all_choices(split: SplitProblem) -> Iterator[Choice]:
    """Yield every choice."""
    names = list(split.alternatives)
    for ids in product(*([way.id for way in row] for row in split.alternatives.values())):
        yield dict(zip(names, ids, strict=True))


def whole_choice(split: SplitProblem) -> Choice:
    """Return the choice that splits least: each operator in the fastest of its plainest ways."""

    def key(way: Alternative) -> tuple[int, float]:
        time = way.duration
        return way.shards, min(time.values()) if not isinstance(time, float | int) else time

    return {name: min(row, key=key).id for name, row in split.alternatives.items()}


def uniform_choices(split: SplitProblem) -> Iterator[Choice]:
    """Yield choices in which every operator that has an alternative takes it; others are whole."""
    whole = whole_choice(split)
    yield whole
    known = {name: {way.id for way in row} for name, row in split.alternatives.items()}
    for way in dict.fromkeys(way.id for row in split.alternatives.values() for way in row):
        yield {name: way if way in known[name] else own for name, own in whole.items()}
