"""The best schedule of a running local search, and when to stop."""

from __future__ import annotations

import time
from collections.abc import Callable

from planner_core.problem import RELATIVE_TOLERANCE, Problem
from planner_core.schedule import Schedule, validate


class Incumbent:
    """What every local search needs: the limits it runs under and the best schedule so far."""

    def __init__(
        self,
        problem: Problem,
        schedule: Schedule,
        *,
        deadline: float,
        target: float | None,
        on_improve: Callable[[Schedule], None],
        cancelled: Callable[[], bool],
        rival: Callable[[], Schedule | None] = lambda: None,
    ) -> None:
        self.problem, self.best, self.rival = problem, schedule, rival
        self.deadline, self.target = deadline, target
        self.on_improve, self.cancelled = on_improve, cancelled

    @property
    def stopped(self) -> bool:
        """Whether time is up, the user has cancelled or the target is met."""
        met = self.target is not None and self.best.makespan <= self.target * (
            1 + RELATIVE_TOLERANCE
        )
        return met or self.cancelled() or time.monotonic() >= self.deadline

    def look_around(self) -> None:
        """Go on from what others have found, if it is better."""
        other = self.rival()
        if other is not None and other.makespan < self.best.makespan:
            self.best = other

    def offer(self, makespan: float, schedule: Callable[[], Schedule]) -> bool:
        """Take a schedule if it is better and valid; tell whoever listens."""
        if makespan >= self.best.makespan * (1 - RELATIVE_TOLERANCE):
            return False
        candidate = schedule()
        if validate(self.problem, candidate):
            return False
        self.best = candidate
        self.on_improve(candidate)
        return True
