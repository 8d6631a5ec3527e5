"""Assignments of pieces to devices as running counts, compiled: loads, memory, transfers.

Loads, transfers and resident memory follow a piece that moves from the nets that join it.

Importing this module imports numba.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner_core.milp.pieces import Pieces, users_by_row
from planner_core.problem.graph import FloatArray, IntArray

BALANCE = 0.05
"""Weight of the mean load beside the norm: fewer transfers help even where nothing is late."""

PENALTY = 2.0
"""Energy of one limit exceeded by all of its size, in units of the goal."""


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
def shift(b: Board, y: Tally, u: int, to: int) -> None:
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
def recount(b: Board, y: Tally) -> None:
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
def excess_of(b: Board, y: Tally, goal: Goal) -> float:
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
def energy_of(b: Board, y: Tally, goal: Goal, excess: float, power: int) -> float:
    """Goal of an assignment in its unit, loads as a norm of this power, and its excess."""
    value = y.sums[0]
    if not goal.volume:
        most, total = max(y.load.max(), 1e-300), 0.0
        for load in y.load.flat:
            total += (load / most) ** power
        norm = most * (total / y.load.size) ** (1.0 / power)
        value = norm + BALANCE * y.load.sum() / len(b.host)
    return value / goal.unit + (PENALTY * (0.2 + excess) if excess > 0 else 0.0)
