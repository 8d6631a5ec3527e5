"""The best schedule and the best bound of a running search, shared by all that work on it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import numpy as np

from planner_core.background import ending
from planner_core.problem import RELATIVE_TOLERANCE, Problem
from planner_core.schedule import Plan, Schedule, measure, proves_optimal, validate
from planner_core.search.progress import Cancellation, ModelSize, OnProgress, Options, Progress

DEFAULT_OPTIONS = Options()


@dataclass(frozen=True)
class Clock:
    """When a search began and when it must be over, on ``time.monotonic()``."""

    begin: float
    deadline: float

    @classmethod
    def start(cls, seconds: float) -> Clock:
        """Return a clock that runs for ``seconds`` from now."""
        now = time.monotonic()
        return cls(now, now + seconds)

    def until(self, share: float) -> Clock:
        """Return a clock of the same beginning that ends after a share of what is left."""
        return Clock(self.begin, self.deadline - (1 - share) * self.remaining)

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.begin

    @property
    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.deadline - time.monotonic())


class SearchState:
    """Incumbent and bound of one measure; thread-safe.

    Nothing becomes the incumbent that has not passed the validator.

    Parameters
    ----------
    problem : Problem
    measure_name : str
        What is minimised.
    clock : Clock
    cancel : threading.Event
    on_progress : callable or None
    target : float
        The search may stop at a value this small (or once the bound passes it).
    options : Options
        How to search; the time limit is the clock's.
    """

    def __init__(
        self,
        problem: Problem,
        measure_name: str,
        clock: Clock,
        cancel: Cancellation,
        on_progress: OnProgress | None = None,
        target: float = -np.inf,
        options: Options = DEFAULT_OPTIONS,
    ) -> None:
        self.problem, self.measure_name, self.clock = problem, measure_name, clock
        self.cancel, self.on_progress, self.target = cancel, on_progress, target
        self.options = options
        self.schedule: Schedule | None = None
        self.value = np.inf
        self.bound = 0.0
        self.found_by: str | None = None
        self.proved_by: str | None = None
        self.phase = "start"
        self.closed = False
        self._lock = threading.RLock()

    def offer(self, schedule: Schedule, found_by: str) -> bool:
        """Take a schedule if it is valid and better; say whether it was taken."""
        value = measure(self.measure_name, self.problem, schedule)
        if not value < self.value or validate(self.problem, schedule):
            return False
        with self._lock:
            if self.closed or not value < self.value:
                return False
            self.schedule, self.value, self.found_by = schedule, value, found_by
            self.emit(schedule=schedule)
        return True

    def raise_bound(self, bound: float, proved_by: str) -> None:
        """Take a proved lower bound if it is better."""
        with self._lock:
            if bound > self.bound and not self.closed:
                self.bound, self.proved_by = bound, proved_by
                self.emit()

    def enter(
        self,
        phase: str,
        model_size: ModelSize | None = None,
        merged_operators: int | None = None,
    ) -> None:
        """Say what is going on."""
        with self._lock:
            self.phase = phase
            self.emit(model_size=model_size, merged_operators=merged_operators)

    def close(self) -> None:
        """Take and tell nothing more: threads that were left behind may still be at work."""
        with self._lock:
            self.closed = True

    def emit(
        self,
        schedule: Schedule | None = None,
        model_size: ModelSize | None = None,
        merged_operators: int | None = None,
    ) -> None:
        """Send one progress event."""
        if self.on_progress is None or self.closed:
            return
        self.on_progress(
            Progress(
                phase=self.phase,
                elapsed=self.clock.elapsed,
                incumbent=None if self.schedule is None else self.value,
                lower_bound=self.bound,
                schedule=schedule,
                found_by=self.found_by,
                proved_by=self.proved_by,
                model_size=model_size,
                merged_operators=merged_operators,
            )
        )

    @property
    def optimal(self) -> bool:
        """Whether the bound meets the incumbent."""
        return self.schedule is not None and proves_optimal(self.value, self.bound)

    @property
    def impossible(self) -> bool:
        """Whether the bound says that the target cannot be met."""
        return self.bound > self.target * (1 + RELATIVE_TOLERANCE) > -np.inf

    @property
    def empty(self) -> bool:
        """Whether it is proved that there is no schedule at all."""
        return self.schedule is None and bool(np.isinf(self.bound))

    @property
    def satisfied(self) -> bool:
        """Whether the incumbent is as good as the target."""
        return self.schedule is not None and self.value <= self.target

    def stopped(self) -> bool:
        """Whether to stop: proved, at the target, out of reach, closed, cancelled or late."""
        return (
            self.closed
            or self.cancel.is_set()
            or ending.is_set()
            or self.empty
            or self.optimal
            or self.satisfied
            or self.impossible
            or self.clock.remaining <= 0
        )

    def plan(self) -> Plan:
        """Return what was found so far."""
        if self.schedule is None:
            return Plan(
                problem=self.problem,
                status="unknown",
                lower_bound=self.bound,
                proved_by=self.proved_by,
                seconds=self.clock.elapsed,
                reason=f"no schedule was found in {self.clock.elapsed:.1f} s; "
                "give more time or more memory",
            )
        return Plan(
            problem=self.problem,
            status="optimal" if self.optimal else "feasible",
            schedule=self.schedule,
            value=self.value,
            lower_bound=min(self.bound, self.value),
            proved_by=self.proved_by,
            found_by=self.found_by,
            seconds=self.clock.elapsed,
        )


def new_state(
    problem: Problem,
    options: Options,
    on_progress: OnProgress | None,
    cancel: Cancellation | None,
) -> SearchState:
    """Return the state of a search that begins now."""
    return SearchState(
        problem,
        problem.objective.primary,
        Clock.start(options.time_limit),
        cancel or Cancellation(),
        on_progress,
        options=options,
    )
