"""From an assignment to a schedule that keeps memory and budgets, or a proof that there is none."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from planner_core.problem import InputError, NotApplicable, Objective, Problem
from planner_core.problem.graph import FloatArray, IntArray
from planner_core.schedule import Schedule, measure, memory_profiles, simulate, validate
from planner_core.search.makespan import search_makespan
from planner_core.search.progress import Progress
from planner_core.search.state import Clock, SearchState


class Realiser:
    """Makes schedules of assignments and offers them to a state.

    Parameters
    ----------
    state : SearchState
        Of a measure that the assignment decides.
    """

    def __init__(self, state: SearchState) -> None:
        self.state, self.problem = state, state.problem
        graph = self.problem.graph
        place = np.empty(graph.n_operators, dtype=np.int64)
        place[graph.topological_order] = np.arange(graph.n_operators)
        # One micro-batch after the other, producers first: little is held at any time.
        self.order = np.lexsort((place, np.maximum(graph.micro_batch, 0)))
        if np.any(graph.micro_batch < 0) and np.any(graph.micro_batch >= 0):
            self.order = graph.topological_order.astype(np.int64)
        self.rank = np.empty(graph.n_operators)
        self.rank[self.order] = -np.arange(graph.n_operators, dtype=float)
        self.known: dict[bytes, bool | None] = {}

    def realise(self, device: IntArray, patience: float = 0.0) -> bool | None:
        """Find a schedule on the given devices and offer it.

        Parameters
        ----------
        device : int array, shape (n,)
        patience : float
            Seconds a makespan search may take if the quick ways fail.

        Returns
        -------
        bool or None
            True: there is a schedule. False: there is none, proved. None: none was found.
        """
        key = device.astype(np.int32).tobytes()
        known = self.known.get(key)
        if known is not None or (key in self.known and patience <= 0):
            return known
        outcome: bool | None = True if self._quickly(device) else None
        if outcome is None and patience > 0:
            outcome = self._thoroughly(device, patience)
        self.known[key] = outcome
        return outcome

    def lacking(self, device: IntArray) -> FloatArray:
        """Memory by which the serial order exceeds the limits; shape (K,)."""
        schedule = self._simulated(device)
        if schedule is None:
            return np.zeros(self.problem.n_devices)
        peaks = np.array([p.peak for p in memory_profiles(self.problem, schedule)])
        limit = self.problem.cluster.memory
        return np.where(np.isfinite(limit), np.maximum(peaks - limit, 0.0), 0.0)

    def within_makespan(self, share: float) -> None:
        """Look for any schedule within the makespan budget; a proof that none exists counts."""
        budget = float(self.problem.objective.subject_to["makespan"])
        inner = self._makespan_search(self.problem, share * self.state.clock.remaining)
        if inner.bound > budget * (1 + 1e-9):
            self.state.raise_bound(np.inf, f"{inner.proved_by} on the makespan")

    def _quickly(self, device: IntArray) -> bool:
        from planner_core.schedule.safe_order import safe_schedule

        schedule = self._simulated(device)
        if schedule is None:
            return False
        if self._offered(schedule):
            return True
        try:
            return self._offered(safe_schedule(self.problem, device, self.rank))
        except NotApplicable:
            return False

    def _simulated(self, device: IntArray) -> Schedule | None:
        rows: list[list[int]] = [[] for _ in range(self.problem.n_devices)]
        for o in self.order.tolist():
            rows[device[o]].append(o)
        try:
            return simulate(self.problem, device, rows)
        except InputError:
            return None  # no link

    def _offered(self, schedule: Schedule) -> bool:
        """Whether the schedule is valid; if it is better too, the state has it now."""
        if self.state.offer(schedule, "assignment search"):
            return True
        value = measure(self.state.measure_name, self.problem, schedule)
        return not value < self.state.value and not validate(self.problem, schedule)

    def _thoroughly(self, device: IntArray, seconds: float) -> bool | None:
        inner = self._makespan_search(self.problem.with_placement(device), seconds)
        if inner.schedule is not None and self._offered(inner.schedule):
            return True
        return False if inner.bound > inner.target or np.isinf(inner.bound) else None

    def _makespan_search(self, problem: Problem, seconds: float) -> SearchState:
        """Search a schedule within the makespan budget (any schedule without one)."""
        budget = float(self.problem.objective.subject_to.get("makespan", np.inf))
        now = time.monotonic()
        deadline = min(self.state.clock.deadline, now + seconds)
        plain = replace(
            problem, template=problem.graph, micro_batches=1, objective=Objective(("makespan",))
        )

        def relay(event: Progress) -> None:
            if event.schedule is not None:
                self.state.offer(event.schedule, event.found_by or "makespan search")
            self.state.enter(f"schedule of an assignment: {event.phase}", event.model_size)

        inner = SearchState(
            plain,
            "makespan",
            Clock(now, deadline),
            self.state.cancel,
            relay,
            target=budget,
            options=self.state.options,
        )
        search_makespan(inner)
        return inner
