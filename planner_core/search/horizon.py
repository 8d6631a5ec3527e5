"""Horizon search: is there a schedule that ends by T?, asked of the step formulation.

With T fixed the formulation is a pure feasibility question, which HiGHS answers at the root
when T is the right bound; an answer "no" on an exact grid is a proof that T + 1 is a lower
bound ("destructive bound", Klein and Scholl 1999). So the search starts at the best bound and
moves up, gives each horizon a share of time that grows with the model, and asks again with
another seed where there was no answer.
"""

from __future__ import annotations

import math
import time

import numpy as np

from planner_core.milp.driver import LinearModel, MipResult, compile_model, solve
from planner_core.milp.steps import BuildStopped
from planner_core.search.progress import ModelSize
from planner_core.search.questions import MAX_COLUMNS, Built, Question
from planner_core.search.state import SearchState

SEEDS = 3
"""Seeds tried on a horizon before another horizon is asked."""

ASK_ALONE = 30_000
"""A first MIP up to this many columns is answered before local search would have warmed up."""

AT_ONCE = 0.05
"""Patience with it where branch and bound, given time, would go on for ever."""

PROOF_COLUMNS = 12_000
"""Models up to this size are small enough for branch and bound to prove "no"."""


class HorizonSearch:
    """Asks horizons until the state is content.

    Parameters
    ----------
    state : SearchState
        Of the makespan.
    question : Question
    ceiling : float
        A makespan no sensible schedule exceeds, for when there is no incumbent.
    """

    def __init__(self, state: SearchState, question: Question, ceiling: float) -> None:
        self.state, self.question, self.ceiling = state, question, ceiling
        self.built: tuple[int, Built, LinearModel] | None = None
        self.build_seconds = 0.0

    @property
    def lowest(self) -> int:
        """Smallest horizon, in slots, the bound leaves open."""
        return self.question.slots(max(self.state.bound, 0.0))

    @property
    def highest(self) -> int:
        """Largest horizon, in slots, that would improve on the incumbent."""
        if not np.isfinite(self.state.value):
            return self.question.slots(self.ceiling)
        if self.question.exact:
            return math.ceil(self.state.value / self.question.slot - 1e-9) - 1
        return self.question.slots(self.state.value)

    def run(self) -> None:
        """Ask horizons until the state is content or nothing is left to ask.

        Upwards in doubling steps until one has an answer, then between it and the last one
        without; then again from below with another seed and more patience.
        """
        state, round_number, distance, unanswered = self.state, 0, 0, -1
        self.round_bound()
        while not state.stopped() and self.lowest <= self.highest:
            low = self.lowest
            horizon = min(low + distance, self.highest)
            if self.question.columns(horizon) > 3 * MAX_COLUMNS:
                return
            result = self.ask_repeatedly(horizon, round_number)
            if result is None or result.status == "infeasible":
                if not self.question.exact:
                    unanswered, distance = horizon, max(1, 2 * distance)
                    if horizon >= self.highest:
                        return
                continue  # the bound moved
            if result.values is not None:
                distance = (max(unanswered, low - 1) + self.highest) // 2 - low
            elif horizon < self.highest:
                unanswered, distance = horizon, max(1, 2 * distance)
            else:
                distance = -1
            if low + distance <= unanswered or distance < 0:
                round_number, distance, unanswered = round_number + 1, 0, -1

    def ask_alone(self) -> None:
        """Ask the smallest horizon before anything else has begun; soon or not at all."""
        low = self.lowest
        if low > self.highest or self.question.columns(low) > ASK_ALONE:
            return
        small = self.question.columns(low) <= PROOF_COLUMNS
        self.ask_repeatedly(low, patience=AT_ONCE if small else 1.0)

    def ask_repeatedly(
        self, horizon: int, round_number: int = 0, patience: float = 1.0
    ) -> MipResult | None:
        """Ask one horizon with several seeds.

        On large models the answer comes from HiGHS's feasibility jump at the root or not at
        all, and the jump's luck is in its seed.
        """
        result: MipResult | None = None
        for attempt in range(SEEDS):
            seed = round_number * SEEDS + attempt
            result = self.ask(horizon, seed=seed, patience=patience + round_number)
            if result is None or result.status != "stopped" or self._outdated(horizon):
                break
        return result

    def round_bound(self) -> None:
        """Raise the bound to the exact grid: some best schedule has all its times on it."""
        if self.question.exact and self.state.proved_by is not None:
            self.state.raise_bound(self.lowest * self.question.slot, self.state.proved_by)

    def ask(self, horizon: int, *, seed: int = 0, patience: float = 1.0) -> MipResult | None:
        """Ask one horizon; the answer goes into the state. None: it was empty at once."""
        state, question = self.state, self.question
        phase = f"MIP, horizon {horizon * question.slot:g}"
        if self.built is None or self.built[0] != horizon:
            state.enter(f"building the {phase}")
            begin = time.monotonic()
            try:
                built = question.build(horizon, lambda: self._outdated(horizon))
            except BuildStopped:
                return MipResult("stopped", None, -np.inf)
            if built is None:
                self._proved_empty(horizon)
                return None
            compiled = compile_model(built.model, lambda: self._outdated(horizon))
            if compiled is None:
                return MipResult("stopped", None, -np.inf)
            self.built = (horizon, built, compiled)
            self.build_seconds = time.monotonic() - begin
        _, built, model = self.built
        state.enter(phase, ModelSize(model.columns, model.rows, model.nonzeros))
        small = model.columns <= PROOF_COLUMNS
        # Building and solving slow down alike on a busy machine, so one measures the other.
        seconds = (20.0 if small else 2.0 + 1.2 * self.build_seconds) * patience
        result = solve(
            model,
            deadline=min(state.clock.deadline, time.monotonic() + seconds),
            cancelled=lambda: self._outdated(horizon),
            presolve=small and seed % 2 == 1,
            seed=spread(seed),
        )
        if result.values is not None:
            state.offer(built.schedule(result.values), "time-indexed MIP")
        elif result.status == "infeasible":
            self._proved_empty(horizon)
        return result

    def _proved_empty(self, horizon: int) -> None:
        if self.question.exact:
            self.state.raise_bound((horizon + 1) * self.question.slot, "time-indexed MIP")

    def _outdated(self, horizon: int) -> bool:
        """Whether the answer would come too late: someone else has a schedule as short."""
        return self.state.stopped() or horizon > self.highest


def spread(seed: int) -> int:
    """HiGHS seed from a small number: neighbouring seeds give like runs."""
    return (seed * 7919) % 2_147_483_647
