"""Search for the objectives that an assignment decides: period and memory moved.

Annealing finds assignments, the packing bound and the assignment MIP prove, and neighbourhoods
of the MIP around the busiest devices improve where a gap stays. Every assignment counts only
once a schedule of it, in memory and within the budgets, has passed the validator.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import numpy as np

from planner_core.background import background_thread
from planner_core.bounds import period_bound, transfer_bound
from planner_core.bounds.packing import packing_bound
from planner_core.milp.driver import MipResult, compile_model, solve
from planner_core.milp.max_load import AssignmentModel, Question
from planner_core.milp.pieces import Pieces, pieces_of
from planner_core.problem.graph import IntArray
from planner_core.schedule import micro_batch_count
from planner_core.search.progress import ModelSize
from planner_core.search.realise import Realiser
from planner_core.search.state import SearchState

ANNEALING = 10.0
"""Seconds of annealing before the MIP begins, at most."""

LEAVING_SECONDS = 0.3
"""How long the MIP is waited for when time is up."""

TINY = 40
"""Assignments with no more pieces × devices than this go to the MIP at once."""

LARGEST_MIP = 60_000
"""Pieces × devices + net pins × devices up to which the whole MIP is built."""

NEIGHBOURHOOD = 5.0
"""Seconds one neighbourhood gets."""

MIP = "assignment MIP"

NEAR = 1e-6
"""Relative tolerance of the MIP solver: values this close are not told apart."""


def search_assignment(state: SearchState) -> None:
    """Improve the period or the transfer volume of ``state`` until it is content."""
    _AssignmentSearch(state).run()


class _AssignmentSearch:
    def __init__(self, state: SearchState) -> None:
        self.state, self.problem = state, state.problem
        self.volume = state.measure_name == "transfer"
        self.count = 1.0 if self.volume else float(micro_batch_count(self.problem))
        budgets = self.problem.objective.subject_to
        self.load = float(budgets.get("period", np.inf)) * micro_batch_count(self.problem)
        self.moved = float(budgets.get("transfer", np.inf))
        self.realiser = Realiser(state)
        self.forbidden: list[IntArray] = []
        self.random = np.random.default_rng(state.options.seed)
        self.pieces: Pieces = pieces_of(self.problem)

    def run(self) -> None:
        state = self.state
        state.enter("bounds")
        bound = transfer_bound(self.problem) if self.volume else period_bound(self.problem)
        state.raise_bound(bound.value, bound.name)
        state.proved_by = state.proved_by or bound.name  # a bound of 0 proves something too
        if self.problem.is_placed:
            self._placed()
            return
        if "makespan" in self.problem.objective.subject_to:
            self.realiser.within_makespan(0.3)
        if self.volume:
            self._together()
        if state.stopped():
            return
        tiny = self.pieces.count * self.problem.n_devices <= TINY
        if not tiny:
            self._anneal(min(ANNEALING, 0.2 * state.clock.remaining))
        if not (self.volume or state.stopped()):
            self._pack()
        if state.stopped():
            return
        if self._size() > LARGEST_MIP:
            self._anneal(state.clock.remaining)
            return
        prover = background_thread(self._prove, MIP)
        prover.start()
        if not tiny:
            prover.join(0.2 * state.clock.remaining)
            while prover.is_alive() and not state.stopped():
                self._improve_once()
        prover.join(state.clock.remaining + LEAVING_SECONDS)

    def _placed(self) -> None:
        """Only a schedule is missing: the measure is known."""
        device = self.problem.fixed_device
        outcome = self.realiser.realise(device, patience=self.state.clock.remaining)
        if outcome is False:
            self.state.raise_bound(np.inf, "exhaustive search")

    def _together(self) -> None:
        """Try everything on one device: then nothing moves."""
        for k in np.flatnonzero(self.pieces.allowed.all(axis=0)).tolist():
            if self.state.stopped():
                return
            self.realiser.realise(np.full(len(self.pieces.piece_of), k, dtype=np.int32))

    def _size(self) -> int:
        return (self.pieces.count + len(self.pieces.consumer)) * self.problem.n_devices

    @property
    def _incumbent(self) -> float:
        """The incumbent in the model's unit."""
        return self.state.value * self.count

    def _anneal(self, seconds: float) -> None:
        from planner_core.search.assignment_search import AssignmentAnnealer, Budgets

        state = self.state
        state.enter("annealing of the assignment")
        deadline = time.monotonic() + seconds
        limit, seed = self.pieces.limit.copy(), self._next_seed()
        while time.monotonic() < deadline and not state.stopped():
            goal = "volume" if self.volume else "load"
            annealer = AssignmentAnnealer(
                self.pieces, goal, Budgets(load=self.load, volume=self.moved), limit, seed
            )
            refused: list[IntArray] = []

            def take(device: IntArray, refused: list[IntArray] = refused) -> None:
                if self.realiser.realise(self.pieces.operators(device)) is not True:
                    refused.append(device)

            annealer.run(
                deadline,
                partial(self._stop_annealing, refused),
                take,
                state.bound * self.count,
            )
            if not refused:
                return
            # A schedule holds more than an assignment must: leave room for it where it lacks.
            lacking = self.realiser.lacking(self.pieces.operators(refused[-1]))
            if not lacking.any():
                lacking = 0.05 * limit
            limit, seed = np.maximum(limit - lacking, 0.5 * limit), self._next_seed()

    def _next_seed(self) -> int:
        return int(self.random.integers(2**31))

    def _stop_annealing(self, refused: list[IntArray]) -> bool:
        return bool(refused) or self.state.stopped()

    def _pack(self) -> None:
        """Prove that the pieces do not fit on the devices within a smaller load."""
        state, pieces = self.state, self.pieces
        state.enter("packing bound")
        deadline = time.monotonic() + 0.1 * state.clock.remaining
        for s in range(pieces.load.shape[1]):
            high = min(self._incumbent, self.load, float(pieces.load[:, s].min(axis=1).sum()))
            low = state.bound * self.count
            if low < high:
                bound = packing_bound(pieces.load[:, s], low, high, deadline)
                state.raise_bound(bound / self.count, "packing bound")

    def _question(self) -> Question:
        load, volume = self.load, self.moved
        if self.volume:
            volume = min(volume, self._incumbent)
        else:
            load = min(load, self._incumbent)
        return Question(
            goal="volume" if self.volume else "load",
            load=load,
            volume=volume,
            least=self.state.bound * self.count,
            forbidden=tuple(self.forbidden),
        )

    def _prove(self) -> None:
        """Solve the whole MIP, leaving out assignments that have no schedule."""
        state = self.state
        while not state.stopped():
            answer = self._solve(self._question(), state.clock.remaining, whole=True)
            if answer is None:
                return
            result, device = answer
            if result.status == "stopped":
                return
            if result.status == "infeasible":
                proved = np.inf if state.schedule is None else state.value
                state.raise_bound(proved, MIP)
                return
            if device is None or not self._settle(result.bound / self.count, device):
                return

    def _settle(self, value: float, device: IntArray) -> bool:
        """Take the best assignment; True if it has no schedule and the MIP must go on."""
        state = self.state
        if state.value <= value * (1 + NEAR):
            state.raise_bound(state.value, MIP)
            return False
        outcome = self.realiser.realise(
            self.pieces.operators(device), patience=0.5 * state.clock.remaining
        )
        if outcome is False:
            self.forbidden.append(device)
            return True
        state.raise_bound(value if state.value > value * (1 + NEAR) else state.value, MIP)
        return False

    def _solve(
        self, question: Question, seconds: float, *, whole: bool
    ) -> tuple[MipResult, IntArray | None] | None:
        """Ask one question; better assignments are realised as they come."""
        state = self.state
        if whole:
            state.enter("building the assignment MIP")
        model = AssignmentModel(self.pieces, question)
        if model.decided:
            return MipResult("infeasible", None, np.inf), None
        compiled = compile_model(model.model, state.stopped)
        if compiled is None:
            return None
        size = ModelSize(compiled.columns, compiled.rows, compiled.nonzeros)
        state.enter(MIP if whole else f"{MIP}, neighbourhood", size)

        def found(values: np.ndarray) -> None:
            self.realiser.realise(self.pieces.operators(model.device(values)))

        def bounded(bound: float) -> None:
            if whole and np.isfinite(bound):
                state.raise_bound(min(bound * (1 - NEAR) / self.count, state.value), MIP)

        start = None
        if state.schedule is not None:
            known = self.pieces.of_operators(state.schedule.device)
            start = model.start(self.pieces.renamed(known) if whole else known)
        result = solve(
            compiled,
            deadline=min(state.clock.deadline, time.monotonic() + seconds),
            cancelled=state.stopped,
            presolve=True,
            start=start,
            on_solution=found,
            on_bound=bounded,
        )
        return result, None if result.values is None else model.device(result.values)

    def _improve_once(self) -> None:
        """Anneal once more, or solve a neighbourhood: the worst device and one or two others."""
        state = self.state
        if state.schedule is None or self.random.random() < 0.3:
            self._anneal(min(2.0, state.clock.remaining))
            return
        device = self.pieces.of_operators(state.schedule.device)
        k = self.problem.n_devices
        chosen = self.random.permutation(k)[: 2 + int(self.random.random() < 0.5)]
        if not self.volume:
            rows = np.arange(self.pieces.count)
            load = np.bincount(
                device, weights=self.pieces.load[rows, :, device].max(axis=1), minlength=k
            )
            chosen = np.unique(np.append(chosen[:-1] if len(chosen) > 2 else chosen, load.argmax()))
        free = np.zeros((self.pieces.count, k), dtype=bool)
        free[np.arange(self.pieces.count), device] = True
        inside = np.isin(device, chosen)
        free[np.ix_(inside, chosen)] = True
        question = replace(self._question(), free=free, least=0.0, forbidden=())
        self._solve(question, min(NEIGHBOURHOOD, state.clock.remaining), whole=False)
