"""A proof over all choices of alternatives, beside the search for a good one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

import numpy as np

from planner_core.background import background_thread, ending
from planner_core.bounds import Bound
from planner_core.milp.driver import compile_model, solve
from planner_core.milp.split_load import SplitLoadModel
from planner_core.milp.steps import BuildStopped
from planner_core.problem.alternatives import SplitProblem
from planner_core.schedule import micro_batch_count
from planner_core.search.planner import plan
from planner_core.search.progress import Cancellation, Options, Progress
from planner_core.search.state import Clock

MIP = "assignment MIP over all alternatives"

NEAR = 2e-6
"""Tolerance of the MIP solver, as a share of the model's unit: values this close count as equal."""

LARGEST_MIP = 60_000
"""Ways × devices up to which the MIP is built."""

LARGEST_LEAST = 40
"""Operators up to which the least of all choices is planned for its bound."""

LEAST_SHARE = 0.3
"""Share of the time it gets: it needs the cores that the search for a choice needs, too."""

FIRST_LOOK = 0.05
"""Seconds between two looks whether the search has a value to start from."""


class Proposals(Protocol):
    """What the proof talks to."""

    @property
    def value(self) -> float:
        """Best value found so far; inf without one."""

    def propose(self, choice: dict[str, str]) -> None:
        """Take a choice worth judging."""


class SplitProof:
    """Raises a bound over all choices in a thread of its own while it is entered.

    For the period an assignment MIP with alternatives; for other measures the bounds that the
    planner proves of the least of all choices.

    Parameters
    ----------
    split : SplitProblem
    bound : Bound
        Known at the beginning.
    clock : Clock
    cancel : threading.Event
    search : Proposals
        Told of the choices of better assignments.
    """

    def __init__(
        self,
        split: SplitProblem,
        bound: Bound,
        clock: Clock,
        cancel: Cancellation,
        search: Proposals,
    ) -> None:
        self.split, self.clock, self.cancel, self.search = split, clock, cancel, search
        self.value, self.name = bound.value, bound.name
        self._leave = threading.Event()
        timed = split.problem.objective.primary == "period"
        work = self._assign if timed else self._plan_least
        self._thread = background_thread(work, "proof over alternatives")

    def __enter__(self) -> SplitProof:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave.set()
        self._thread.join(1.0)

    def wait(self, enough: Callable[[], bool]) -> None:
        """Wait until the proof is complete, or what is proved is enough, or time is up."""
        while self._thread.is_alive() and not (enough() or self._stopped()):
            self._thread.join(0.05)

    def _stopped(self) -> bool:
        told = self._leave.is_set() or self.cancel.is_set() or ending.is_set()
        return told or self.clock.remaining <= 0

    def _raise(self, value: float, name: str) -> None:
        if value > self.value and not self._leave.is_set():
            self.value, self.name = value, name

    def _assign(self) -> None:
        """Solve the assignment MIP from the first value the search has found."""
        split = self.split
        ways = sum(len(split.ways(o)) for o in range(split.problem.template.n_operators))
        if ways * split.problem.n_devices > LARGEST_MIP:
            return
        while not np.isfinite(self.search.value):
            if self._leave.wait(FIRST_LOOK) or self._stopped():
                return
        count = micro_batch_count(split.problem)
        high = self.search.value * count
        if high <= 0:
            return
        try:
            model = SplitLoadModel(split, high, self.value * count, self._stopped)
        except BuildStopped:
            return
        compiled = compile_model(model.model, self._stopped)
        if compiled is None:
            return

        def found(values: np.ndarray) -> None:
            self.search.propose(model.choice(values))

        def bounded(bound: float) -> None:
            if np.isfinite(bound):
                self._raise((bound - NEAR) * high / count, MIP)

        result = solve(
            compiled,
            deadline=self.clock.deadline,
            cancelled=self._stopped,
            presolve=True,
            on_solution=found,
            on_bound=bounded,
        )
        if result.status == "infeasible":
            self._raise(high / count, MIP)
        elif result.status == "optimal":
            # A value as near as the solver can tell counts as reached.
            near = self.search.value <= (result.bound + NEAR) * high / count
            self._raise(self.search.value if near else (result.bound - NEAR) * high / count, MIP)

    def _plan_least(self) -> None:
        """Plan the least of all choices; what is proved of it holds for every one."""
        problem = self.split.least()
        if problem.graph.n_operators > LARGEST_LEAST:
            return
        stop = Cancellation()

        def look(event: Progress) -> None:
            if event.lower_bound is not None:
                self._raise(event.lower_bound, f"{event.proved_by}, least of all alternatives")
            if self._stopped():
                stop.set()

        options = Options(time_limit=max(0.1, LEAST_SHARE * self.clock.remaining))
        plan(problem, options, look, stop)
