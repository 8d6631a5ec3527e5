"""Expert schedules for a problem, computed once."""

from __future__ import annotations

import threading
from functools import lru_cache

from planner_core.baselines import BaselineResult
from planner_core.problem import PlannerError, Problem
from planner_core.search.experts import available_experts, run_expert

DEFAULTS = 3
"""Baselines shown at first."""


@lru_cache(maxsize=64)
def choices(problem: Problem) -> dict[str, tuple[str, str | None]]:
    """Title and, where it cannot be run at all, the reason of every baseline, by name."""
    return {name: (title, reason) for name, title, reason in available_experts(problem)}


@lru_cache(maxsize=512)
def result(
    name: str, problem: Problem, overlapped_pair: float | None = None
) -> BaselineResult | str:
    """Run a baseline; return its result, or the sentence on why there is none."""
    takes_pair = overlapped_pair is not None and name in ("dualpipe", "dualpipev")
    settings = {"overlapped_pair": overlapped_pair} if takes_pair else {}
    try:
        return run_expert(name, problem, **settings)
    except PlannerError as error:
        return str(error)


@lru_cache(maxsize=64)
def defaults(problem: Problem) -> list[str]:
    """1F1B where it runs, then baselines that share the problem's placement."""
    possible = [name for name, (_, reason) in choices(problem).items() if reason is None]
    if problem.graph.n_operators > 20_000:
        return possible[:1]
    first = [name for name in ("1f1b",) if name in possible]
    fitting: list[str] = []
    for name in (*(n for n in possible if n.startswith("dualpipe")), *possible):
        if len(first) + len(fitting) == DEFAULTS:
            break
        found = result(name, problem)
        own = isinstance(found, str) or found.own_placement
        if not own and name not in (*first, *fitting):
            fitting.append(name)
    return [*first, *fitting]


def reasons(problem: Problem) -> dict[str, str]:
    """Why a baseline has no schedule of a problem, by name.

    Where none is shown at first, all were tried, and those that were tried in vain are named too.
    """
    known = {name: reason for name, (_, reason) in choices(problem).items() if reason}
    if not defaults(problem):
        for name in choices(problem):
            found = None if name in known else result(name, problem)
            if isinstance(found, str):
                known[name] = found
    return known


class Making:
    """Every expert schedule of a problem, made one after the other in the background.

    Parameters
    ----------
    problem : Problem
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.names = [name for name, (_, reason) in choices(problem).items() if not reason]
        self.made: dict[str, BaselineResult | str] = {}
        self._over = threading.Event()
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        try:
            for name in self.names:
                self.made[name] = result(name, self.problem)
        finally:
            self._over.set()

    def over(self, seconds: float = 0.0) -> bool:
        """Wait so long for all to be made; whether they are."""
        return self._over.wait(seconds)

    def found(self) -> list[tuple[str, BaselineResult]]:
        """Schedules made so far, by name."""
        made = dict(self.made)
        return [(name, found) for name, found in made.items() if not isinstance(found, str)]


@lru_cache(maxsize=64)
def making(problem: Problem) -> Making:
    """Begin to make every expert schedule of a problem, once."""
    return Making(problem)
