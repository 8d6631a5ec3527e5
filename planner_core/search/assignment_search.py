"""Annealing over assignments of pieces to devices, compiled: no times, only loads and moves.

One move changes the device of a piece, of a run of pieces that follow each other, or swaps two.

Importing this module imports numba.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner_core.milp.pieces import Pieces
from planner_core.problem.graph import FloatArray, IntArray
from planner_core.search.cooling import Pace, cooling
from planner_core.search.moves import draw
from planner_core.search.tally import (
    Board,
    Goal,
    Tally,
    board_of,
    energy_of,
    excess_of,
    recount,
    shift,
)

POWERS = (8, 8, 64)
"""Exponents of the norm over all loads, one of which a run of annealing minimises: a low one lets
loads below the largest count, by which far more moves are told apart; a high one is the largest."""

LONGEST_RUN = 12
"""Pieces moved together, at most."""

SINGLE, NEAR, RUN = 0.6, 0.35, 0.85
"""Of a number drawn for every move: below the first one piece moves, below the second of these
to a neighbour's device; up to the third a run of pieces does, and above it two or two runs swap."""

SWAPPED_RUNS = 0.7
"""Share of the swaps that swap runs."""

HOT, FIRST_HOT = (0.0003, 0.0015, 0.0015), (0.01, 0.05)
"""Temperatures, in the goal's unit, one of which a run begins with: where limits are kept already,
and before, when excess has to be got rid of."""


@njit(nogil=True, cache=True)
def _anneal(
    b: Board,
    y: Tally,
    goal: Goal,
    hot: float,
    cold: float,
    moves: int,
    power: int,
    state: NDArray[np.uint64],
    best: IntArray,
    best_value: float,
) -> float:
    """Anneal; the best assignment that keeps every limit goes to ``best``; return its value."""
    recount(b, y)
    count, k = b.allowed.shape
    energy = energy_of(b, y, goal, excess_of(b, y, goal), power)
    cooling = (cold / hot) ** (1.0 / max(1, moves))
    temperature = hot
    changed = np.empty(LONGEST_RUN, np.int32)
    before = np.empty(LONGEST_RUN, np.int32)
    for _ in range(moves):
        temperature *= cooling
        what = draw(state)
        n = 0
        place = int(draw(state) * count)
        u = b.ordered[place]
        to = int(draw(state) * k)
        near = what < NEAR or SINGLE < what <= RUN
        if near and b.touch_ptr[u + 1] > b.touch_ptr[u]:  # to a neighbour's device
            width = b.touch_ptr[u + 1] - b.touch_ptr[u]
            net = b.touch[b.touch_ptr[u] + int(draw(state) * width)]
            to = y.device[b.producer[net]]
            if b.producer[net] == u:
                reach = b.net_ptr[net + 1] - b.net_ptr[net]
                to = y.device[b.consumer[b.net_ptr[net] + int(draw(state) * reach)]]
        if what > RUN and draw(state) < SWAPPED_RUNS:
            n = _swap_runs(b, y, place, int(draw(state) * count), changed, before, state)
        elif what > RUN:  # swap two pieces
            v = b.ordered[int(draw(state) * count)]
            to = y.device[v]
            if to != y.device[u] and b.allowed[u, to] and b.allowed[v, y.device[u]]:
                changed[0], before[0], changed[1], before[1] = u, y.device[u], v, to
                n = 2
                shift(b, y, v, y.device[u])
                shift(b, y, u, to)
        else:
            length = 1
            if what > SINGLE:
                length = min(2 + int(draw(state) * (LONGEST_RUN - 1)), count - place)
            for i in range(length):
                u = b.ordered[place + i]
                if y.device[u] != to and b.allowed[u, to]:
                    changed[n], before[n] = u, y.device[u]
                    n += 1
                    shift(b, y, u, to)
        if n == 0:
            continue
        excess = excess_of(b, y, goal)
        then = energy_of(b, y, goal, excess, power)
        if then <= energy or draw(state) < np.exp((energy - then) / temperature):
            energy = then
            if excess == 0.0:
                value = y.sums[0] if goal.volume else y.load.max()
                if value < best_value * (1 - 1e-12):
                    best_value = value
                    best[:] = y.device
            continue
        for i in range(n - 1, -1, -1):
            shift(b, y, changed[i], before[i])
    return best_value


@njit(nogil=True, cache=True)
def _swap_runs(
    b: Board,
    y: Tally,
    here: int,
    there: int,
    changed: IntArray,
    before: IntArray,
    state: NDArray[np.uint64],
) -> int:
    """Let what lies on one device near ``here`` and on another near ``there`` change devices."""
    count, n = len(b.ordered), 0
    first, second = y.device[b.ordered[here]], y.device[b.ordered[there]]
    if first == second:
        return 0
    for place, old, new in ((here, first, second), (there, second, first)):
        known = n
        for p in range(place, min(count, place + 1 + int(draw(state) * LONGEST_RUN / 2))):
            u = b.ordered[p]
            if y.device[u] != old or not b.allowed[u, new]:
                continue
            fresh = True
            for i in range(known):
                fresh = fresh and changed[i] != u
            if fresh:
                changed[n], before[n] = u, old
                n += 1
                shift(b, y, u, new)
    return n


@dataclass(frozen=True, eq=False, kw_only=True)
class Budgets:
    """Largest load and largest memory moved that an assignment may have."""

    load: float = np.inf
    volume: float = np.inf


class AssignmentAnnealer:
    """Anneals assignments with restarts.

    Parameters
    ----------
    pieces : Pieces
    goal : {"load", "volume"}
    budgets : Budgets
    limit : float array, shape (K,), optional
        Memory limits; default the cluster's. Lower ones leave room for what a schedule holds.
    seed : int
    """

    def __init__(
        self,
        pieces: Pieces,
        goal: str,
        budgets: Budgets | None = None,
        limit: FloatArray | None = None,
        seed: int = 0,
    ) -> None:
        budgets = budgets or Budgets()
        self.pieces = pieces
        self.board = board_of(pieces, pieces.limit if limit is None else limit)
        volume = goal == "volume"
        total = float(np.where(np.isfinite(pieces.load), pieces.load, 0.0).max(axis=2).sum())
        unit = float(pieces.volume.sum()) if volume else total / len(self.board.host)
        self.goal = Goal(
            volume,
            max(unit, 1e-300),
            budgets.load * (1 + 1e-9),
            budgets.volume * (1 + 1e-9),
            bool(np.isfinite(self.board.limit).any() and (pieces.need > 0).any()),
        )
        k = len(self.board.host)
        self.tally = Tally(
            device=np.zeros(pieces.count, dtype=np.int32),
            load=np.zeros((pieces.load.shape[1], k)),
            there=np.zeros((pieces.n_nets, k), dtype=np.int32),
            using=np.zeros((len(pieces.group_size), k), dtype=np.int32),
            resident=np.zeros(k),
            kept=np.zeros(k),
            sums=np.zeros(2),
        )
        self.state = np.array([seed * 2 + 88172645463325253], dtype=np.uint64)
        self.random = np.random.default_rng(seed)
        self.best = np.zeros(pieces.count, dtype=np.int32)
        self.value = np.inf
        self.pace = Pace(1e5)

    def run(
        self,
        deadline: float,
        stopped: Callable[[], bool] = lambda: False,
        on_improve: Callable[[IntArray], None] = lambda device: None,
        target: float = -np.inf,
    ) -> None:
        """Anneal until the deadline on ``time.monotonic()``; the best is in :attr:`best`.

        ``on_improve`` is called after a run that found a better assignment.
        """
        seconds, runs = 0.3, 0
        while time.monotonic() < deadline and not stopped() and self.value > target:
            known = self.value
            self.tally.device[:] = self._start(runs)
            hot = float(self.random.choice(HOT if np.isfinite(known) else FIRST_HOT))
            self._one_run(hot, min(seconds, deadline - time.monotonic()), stopped)
            if self.value < known:
                on_improve(self.best.copy())
            seconds, runs = min(3.0, seconds * 1.4), runs + 1

    def _start(self, runs: int) -> IntArray:
        """Where a run starts: the best so far, or contiguous stretches of equal work."""
        if np.isfinite(self.value) and runs % 3:
            return self.best
        return contiguous(self.pieces, self.random if runs else None)

    def _one_run(self, hot: float, seconds: float, stopped: Callable[[], bool]) -> None:
        power = int(self.random.choice(POWERS))
        for warmer, colder in cooling(seconds, hot, hot / 200):
            if stopped():
                return
            self.value = _anneal(
                self.board,
                self.tally,
                self.goal,
                warmer,
                colder,
                self.pace.moves(),
                power,
                self.state,
                self.best,
                self.value,
            )
            self.pace.took()


def contiguous(pieces: Pieces, random: np.random.Generator | None = None) -> IntArray:
    """Cut the topological order into one stretch per device, of equal or of random work."""
    k = pieces.load.shape[2]
    workers = np.flatnonzero(~pieces.problem.cluster.host)
    workers = workers if len(workers) else np.arange(k)
    shares = np.ones(len(workers))
    if random is not None:
        workers, shares = random.permutation(workers), random.uniform(0.5, 1.5, len(workers))
    ends = np.cumsum(shares) / shares.sum()
    work = np.cumsum(pieces.weight[pieces.ordered])
    place = np.searchsorted(ends, work / max(work[-1], 1e-300) * (1 - 1e-12))
    device = np.empty(pieces.count, dtype=np.int32)
    device[pieces.ordered] = workers[np.minimum(place, len(workers) - 1)]
    rows = np.arange(pieces.count)
    misplaced = ~pieces.allowed[rows, device]
    device[misplaced] = pieces.load[misplaced].sum(axis=1).argmin(axis=1)
    return device
