"""Annealing over assignments of pieces to devices, compiled: no times, only loads and moves.

One move changes the device of a piece, of a run of pieces that follow each other, or swaps two;
loads, transfers and resident memory follow incrementally from the nets that are touched.

Importing this module imports numba.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner_core.milp.pieces import Pieces, users_by_row
from planner_core.problem.graph import FloatArray, IntArray
from planner_core.search.cooling import Pace, cooling
from planner_core.search.moves import draw

BALANCE = 0.05
"""Weight of the mean load beside the norm: fewer transfers help even where nothing is late."""

POWERS = (8, 8, 64)
"""Exponents of the norm over all loads, one of which a run of annealing minimises: a low one lets
loads below the largest count, by which far more moves are told apart; a high one is the largest."""

PENALTY = 2.0
"""Energy of one limit exceeded by all of its size, in units of the goal."""

LONGEST_RUN = 12
"""Pieces moved together, at most."""


class Board(NamedTuple):
    """Pieces as flat arrays; see :class:`planner_core.milp.pieces.Pieces`."""

    load: FloatArray
    allowed: NDArray[np.bool_]
    need: FloatArray
    kept: FloatArray
    limit: FloatArray
    group_size: FloatArray
    user_ptr: IntArray
    user: IntArray
    """CSR by piece: the parameter groups it uses."""
    producer: IntArray
    net_ptr: IntArray
    consumer: IntArray
    fixed: FloatArray
    per_latency: FloatArray
    per_size: FloatArray
    volume: FloatArray
    touch_ptr: IntArray
    touch: IntArray
    """CSR by piece: the nets that join it."""
    latency: FloatArray
    per_unit: FloatArray
    linked: NDArray[np.bool_]
    host: NDArray[np.bool_]
    staged: bool
    ordered: IntArray


class Tally(NamedTuple):
    """What an assignment comes to; kept up to date move by move."""

    device: IntArray
    load: FloatArray
    """Shape (S, K)."""
    there: IntArray
    """Consumers of a net on a device; shape (N, K)."""
    using: IntArray
    """Pieces on a device that use a parameter group; shape (G, K)."""
    resident: FloatArray
    kept: FloatArray
    sums: FloatArray
    """Memory moved, tensors without a link."""


class Goal(NamedTuple):
    """What is minimised, in which unit, and the budgets."""

    volume: bool
    unit: float
    load_budget: float
    volume_budget: float
    needs: bool


def board_of(pieces: Pieces, limit: FloatArray) -> Board:
    """Return the flat arrays of pieces under memory limits of shape (K,)."""
    cluster, n_nets = pieces.problem.cluster, pieces.n_nets
    groups = np.repeat(np.arange(len(pieces.group_size)), np.diff(pieces.group_ptr))
    user_ptr, user = users_by_row(pieces.group_piece, groups, pieces.count)
    nets = np.repeat(np.arange(n_nets), np.diff(pieces.net_ptr))
    touch_ptr, touch = users_by_row(
        np.concatenate([pieces.producer, pieces.consumer]),
        np.concatenate([np.arange(n_nets), nets]),
        pieces.count,
    )
    linked = cluster.has_link | np.eye(cluster.n_devices, dtype=bool)
    return Board(
        load=np.ascontiguousarray(pieces.load),
        allowed=np.ascontiguousarray(pieces.allowed),
        need=pieces.need,
        kept=pieces.kept,
        limit=limit,
        group_size=pieces.group_size,
        user_ptr=user_ptr,
        user=user,
        producer=pieces.producer,
        net_ptr=pieces.net_ptr,
        consumer=pieces.consumer,
        fixed=pieces.fixed,
        per_latency=pieces.per_latency,
        per_size=pieces.per_size,
        volume=pieces.volume,
        touch_ptr=touch_ptr,
        touch=touch,
        latency=np.where(linked, cluster.latency, 0.0),
        per_unit=np.ascontiguousarray(1.0 / cluster.bandwidth),
        linked=linked,
        host=np.ascontiguousarray(cluster.host),
        staged=bool(cluster.staged),
        ordered=pieces.ordered,
    )


@njit(nogil=True, cache=True)
def _count_net(b: Board, y: Tally, net: int, sign: int) -> None:
    """Add or take away what a net costs."""
    home = y.device[b.producer[net]]
    longest = 0.0
    for k in range(len(b.host)):
        if k == home or y.there[net, k] == 0:
            continue
        y.sums[0] += sign * b.volume[net]
        if not b.linked[home, k]:
            y.sums[1] += sign
        elif b.staged:
            time = (
                b.fixed[net]
                + b.per_latency[net] * b.latency[home, k]
                + b.per_size[net] * b.per_unit[home, k]
            )
            longest = max(longest, time)
            if not b.host[k]:
                y.load[0, k] += sign * time
    if longest > 0.0 and not b.host[home]:
        y.load[0, home] += sign * longest


@njit(nogil=True, cache=True)
def _shift(b: Board, y: Tally, u: int, to: int) -> None:
    """Move piece u."""
    at = y.device[u]
    for i in range(b.touch_ptr[u], b.touch_ptr[u + 1]):
        net = b.touch[i]
        _count_net(b, y, net, -1)
        if b.producer[net] != u:
            y.there[net, at] -= 1
            y.there[net, to] += 1
    y.device[u] = to
    for i in range(b.touch_ptr[u], b.touch_ptr[u + 1]):
        _count_net(b, y, b.touch[i], 1)
    for s in range(b.load.shape[1]):
        y.load[s, at] -= b.load[u, s, at]
        y.load[s, to] += b.load[u, s, to]
    for i in range(b.user_ptr[u], b.user_ptr[u + 1]):
        g = b.user[i]
        y.using[g, at] -= 1
        if y.using[g, at] == 0:
            y.resident[at] -= b.group_size[g]
        y.using[g, to] += 1
        if y.using[g, to] == 1:
            y.resident[to] += b.group_size[g]
    y.kept[at] -= b.kept[u]
    y.kept[to] += b.kept[u]


@njit(nogil=True, cache=True)
def _recount(b: Board, y: Tally) -> None:
    """Count everything from the devices alone."""
    y.load[:] = 0.0
    y.there[:] = 0
    y.using[:] = 0
    y.resident[:] = 0.0
    y.kept[:] = 0.0
    y.sums[:] = 0.0
    for u in range(len(b.kept)):
        k = y.device[u]
        y.kept[k] += b.kept[u]
        for s in range(b.load.shape[1]):
            y.load[s, k] += b.load[u, s, k]
        for i in range(b.user_ptr[u], b.user_ptr[u + 1]):
            y.using[b.user[i], k] += 1
    for g in range(len(b.group_size)):
        for k in range(len(b.host)):
            if y.using[g, k] > 0:
                y.resident[k] += b.group_size[g]
    for net in range(len(b.producer)):
        for i in range(b.net_ptr[net], b.net_ptr[net + 1]):
            y.there[net, y.device[b.consumer[i]]] += 1
        _count_net(b, y, net, 1)


@njit(nogil=True, cache=True)
def _excess(b: Board, y: Tally, goal: Goal) -> float:
    """By how much limits are exceeded, each in its own size; missing links count whole."""
    excess = y.sums[1] if y.sums[1] > 0.5 else 0.0
    if goal.needs:
        largest = np.zeros(len(b.host))
        for u in range(len(b.kept)):
            k = y.device[u]
            largest[k] = max(largest[k], b.need[u, k])
    for k in range(len(b.host)):
        if not np.isinf(b.limit[k]):
            held = y.kept[k]
            if goal.needs:
                held = max(held, largest[k])
            over = y.resident[k] + held - b.limit[k]
            unit = max(b.limit[k], 1e-300)
            if over > 1e-12 * unit:
                excess += over / unit
    if y.sums[0] > goal.volume_budget:
        excess += (y.sums[0] - goal.volume_budget) / max(goal.volume_budget, 1e-12)
    latest = y.load.max()
    if latest > goal.load_budget:
        excess += (latest - goal.load_budget) / max(goal.load_budget, 1e-12)
    return excess


@njit(nogil=True, cache=True)
def _energy(b: Board, y: Tally, goal: Goal, excess: float, power: int) -> float:
    value = y.sums[0]
    if not goal.volume:
        most, total = max(y.load.max(), 1e-300), 0.0
        for load in y.load.flat:
            total += (load / most) ** power
        norm = most * (total / y.load.size) ** (1.0 / power)
        value = norm + BALANCE * y.load.sum() / len(b.host)
    return value / goal.unit + (PENALTY * (0.2 + excess) if excess > 0 else 0.0)


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
    _recount(b, y)
    count, k = b.allowed.shape
    energy = _energy(b, y, goal, _excess(b, y, goal), power)
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
        if what < 0.35 and b.touch_ptr[u + 1] > b.touch_ptr[u]:  # to a neighbour's device
            width = b.touch_ptr[u + 1] - b.touch_ptr[u]
            net = b.touch[b.touch_ptr[u] + int(draw(state) * width)]
            to = y.device[b.producer[net]]
            if b.producer[net] == u:
                reach = b.net_ptr[net + 1] - b.net_ptr[net]
                to = y.device[b.consumer[b.net_ptr[net] + int(draw(state) * reach)]]
        if what > 0.85:  # swap two pieces
            v = b.ordered[int(draw(state) * count)]
            to = y.device[v]
            if to != y.device[u] and b.allowed[u, to] and b.allowed[v, y.device[u]]:
                changed[0], before[0], changed[1], before[1] = u, y.device[u], v, to
                n = 2
                _shift(b, y, v, y.device[u])
                _shift(b, y, u, to)
        else:
            length = 1
            if what > 0.6:
                length = min(2 + int(draw(state) * (LONGEST_RUN - 1)), count - place)
            for i in range(length):
                u = b.ordered[place + i]
                if y.device[u] != to and b.allowed[u, to]:
                    changed[n], before[n] = u, y.device[u]
                    n += 1
                    _shift(b, y, u, to)
        if n == 0:
            continue
        excess = _excess(b, y, goal)
        then = _energy(b, y, goal, excess, power)
        if then <= energy or draw(state) < np.exp((energy - then) / temperature):
            energy = then
            if excess == 0.0:
                value = y.sums[0] if goal.volume else y.load.max()
                if value < best_value * (1 - 1e-12):
                    best_value = value
                    best[:] = y.device
            continue
        for i in range(n - 1, -1, -1):
            _shift(b, y, changed[i], before[i])
    return best_value


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
            hot = 0.05 * float(self.random.choice([0.2, 1.0]))
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
