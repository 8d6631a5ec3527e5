"""Search over clusterings: proves what is lost to transfers, for free graphs of some hundreds.

Whether a makespan can be had is asked of the clusterings (:mod:`planner_core.bounds.clustering`):
where probing leaves a pair of clusters open, both ways are searched. Refusing what is just below
the incumbent proves it optimal; where that takes too many clusterings, smaller makespans are
refused for a bound.

Importing this module imports numba.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import numpy as np

from planner_core.bounds.clustering import (
    Clustering,
    propagate,
    put_together,
    relax,
    set_apart,
)
from planner_core.problem import RELATIVE_TOLERANCE
from planner_core.search.state import SearchState

CLUSTERED_OPERATORS = 400
"""Largest graph: the work of one clustering grows with the square of the operators."""

FEW, MORE = 4, 4
"""Clusterings looked at for one makespan in the first round, and the factor of every next one."""

CLOSE = 1e-3
"""Bounds are not looked for any closer than this, relative to the incumbent; there, and where
nothing closer can be refused, only the incumbent itself is asked for."""

PATIENCE = 0.2
"""Share of its time after which a bound has to be better than those of others: where devices are
busy rather than waiting for transfers, clusterings tell nothing new."""

NAME = "search over clusterings"


class Answer(Enum):
    """What is known of a makespan."""

    REFUSED = "no schedule is so short"
    POSSIBLE = "a clustering is left with which paths are so short"
    OPEN = "too many clusterings"


def search_clusterings(
    state: SearchState, seconds: float, leave: Callable[[], bool] = lambda: False
) -> bool:
    """Raise the bound, to the incumbent if it is optimal; return whether that was proved.

    Parameters
    ----------
    state : SearchState
        Of the makespan of a problem with free operators. Its incumbent may improve meanwhile.
    seconds : float
        When to give up.
    leave : callable
        Looked at after every clustering; true means give up.
    """
    n = state.problem.graph.n_operators
    if n > CLUSTERED_OPERATORS or state.schedule is None:
        return False
    return _Search(state, state.clock.elapsed + seconds, leave).run()


class _Search:
    """Rounds of questions, each with more clusterings than the one before."""

    def __init__(self, state: SearchState, end: float, leave: Callable[[], bool]) -> None:
        self.state, self.end, self.leave = state, end, leave
        self.relaxation, self.undecided = relax(state.problem)
        self.ceiling = np.inf
        """Smallest makespan that cannot be refused."""

    @property
    def over(self) -> bool:
        return self.state.stopped() or self.leave() or self.state.clock.elapsed >= self.end

    @property
    def better(self) -> float:
        """What is just better than the incumbent."""
        return self.state.value * (1 - RELATIVE_TOLERANCE)

    @property
    def tells_all(self) -> bool:
        """Whether clusterings have refused nearly all below the incumbent."""
        state = self.state
        return state.proved_by == NAME and self.better - state.bound <= CLOSE * state.value

    def run(self) -> bool:
        """Ask until the incumbent is proved or nothing more is gained."""
        state, few, first = self.state, FEW, self.state.bound
        patient = state.clock.elapsed + PATIENCE * (self.end - state.clock.elapsed)
        while not self.over and (
            state.bound > first or state.clock.elapsed < patient or self.tells_all
        ):
            if self.better < self.ceiling:
                self.ask(self.better, few)
            high = min(self.better, self.ceiling)
            if self.ceiling <= self.better and high - state.bound <= CLOSE * state.value:
                break  # no bound of this kind gets to the incumbent
            while not self.over and high - state.bound > CLOSE * state.value:
                middle = (state.bound + high) / 2
                if self.ask(middle, few) is not Answer.REFUSED:
                    high = middle
            few *= MORE
        return state.optimal

    def ask(self, makespan: float, few: int) -> Answer:
        """Ask whether a makespan can be refused; if so, it becomes the bound."""
        open_ones = [self.undecided.copy()]
        branch = np.zeros(2, np.int32)
        while open_ones:
            if few == 0 or self.over:
                return Answer.OPEN
            few -= 1
            makespan = min(makespan, self.better)  # the incumbent may have become better
            clustering = open_ones.pop()
            found = propagate(self.relaxation, clustering, makespan, branch)
            if found > 0:
                self.ceiling = min(self.ceiling, makespan)
                return Answer.POSSIBLE
            if found == 0:
                open_ones += _both_ways(clustering, *branch.tolist())
        # What is left is longer than the makespan, which for the incumbent is just below it.
        proved = self.state.value if makespan >= self.better else makespan
        self.state.raise_bound(proved, NAME)
        return Answer.REFUSED


def _both_ways(clustering: Clustering, a: int, b: int) -> list[Clustering]:
    together = clustering.copy()
    possible = put_together(together, a, b)
    set_apart(clustering, a, b, True)
    return [clustering, together] if possible else [clustering]
