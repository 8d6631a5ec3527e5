"""V-Half and V-Min: a building block repeated, then squeezed without raising its peak memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner_core.baselines.dualpipe import v_shaped
from planner_core.baselines.layout import Entry, Layout, Rows
from planner_core.baselines.zero_bubble import require_split
from planner_core.problem import Problem

PERIOD = 6
"""Slots in which every device runs F, I and W of both its virtual stages once."""

Slots = NDArray[np.int64]
"""Slot of every pass of the first four kinds; shape (p, 4, m). The kinds are the four legs of a
micro-batch: forward down the devices, forward up, backward down, backward up."""


def v_half_layout(problem: Problem) -> Layout:
    """V-shaped placement of a pipeline whose backward is split.

    Raises
    ------
    NotApplicable
        If the stages do not divide or a backward is in one piece.
    """
    return require_split(v_shaped(problem, "V-Half"))


def v_min_layout(problem: Problem) -> Layout:
    """V-shaped placement of a pipeline whose backward is split.

    Raises
    ------
    NotApplicable
        If the stages do not divide or a backward is in one piece.
    """
    return require_split(v_shaped(problem, "V-Min"))


def v_half(layout: Layout) -> Rows:
    """V-Half (Qi et al. 2024): half of 1F1B's activations, (p + 2) // 2 per device.

    The legs down advance two slots per device, the legs up one.
    """
    p, d = layout.n_ranks, np.arange(layout.n_ranks)
    wait = 3 if p % 2 == 0 else 0
    block = [2 * d, 3 * p - d - 2, 3 * p + 2 * d - 1 + wait, 6 * p - d - 2 + wait]
    return _rows_from_block(np.stack(block, axis=1), layout.n_micro_batches)


def v_min(layout: Layout) -> Rows:
    """V-Min (Qi et al. 2024): a third of 1F1B's activations, (p + 4) // 3 per device.

    Every leg advances one slot per device.
    """
    p, d = layout.n_ranks, np.arange(layout.n_ranks)
    wait = 2 if p % 3 == 0 else 0
    block = [d, 2 * p - d - 1, 2 * p + d + wait, 4 * p - d - 1 + wait]
    return _rows_from_block(np.stack(block, axis=1), layout.n_micro_batches)


def _rows_from_block(block: Slots, m: int) -> Rows:
    """Repeat a building block of shape (p, 4) every period, squeeze it twice, add weights."""
    slots = block[:, :, None] + PERIOD * np.arange(m)
    for explicit_weights in (True, False):
        squeeze = _Squeeze(slots, explicit_weights)
        squeeze.run()
        slots = _start_early(squeeze.slots, squeeze.weights)
    return [_row(slots[d], d, len(block)) for d in range(len(block))]


def _row(slots: Slots, d: int, p: int) -> list[Entry]:
    """One device's passes in order, weight parts in the free slots; ``slots`` is (4, m)."""
    letters = (("F", d), ("F", 2 * p - 1 - d), ("I", 2 * p - 1 - d), ("I", d))
    passes = sorted((int(slot), leg, i) for leg in range(4) for i, slot in enumerate(slots[leg]))
    weights = _weight_slots(slots).tolist()
    row: list[Entry] = []
    waiting: list[Entry] = []
    done = 0
    for slot, leg, i in passes:
        while done < len(weights) and weights[done] < slot:
            row.append(waiting[done])
            done += 1
        letter, v = letters[leg]
        row.append((letter, v, i))
        if letter == "I":
            waiting.append(("W", v, i))
    return row + waiting[done:]


def _weight_slots(slots: Slots) -> NDArray[np.int64]:
    """Slots of one device's weight parts: each free slot takes one that waits; shape (2m,)."""
    m2 = 2 * slots.shape[1]
    length = int(slots.max()) + 1 + m2
    free = np.ones(length, dtype=bool)
    free[slots.ravel()] = False
    arrived = np.zeros(length, dtype=np.int64)
    np.add.at(arrived, slots[2:].ravel() + 1, 1)
    # Served until t = min over s ≤ t of (arrived until s + free slots after s): a queue with
    # one server that works in the free slots only.
    waited, served = np.cumsum(arrived), np.cumsum(free)
    done = served + np.minimum(0, np.minimum.accumulate(waited - served))
    return np.searchsorted(done, np.arange(1, m2 + 1))


def _peak(slots: Slots, weights: NDArray[np.int64]) -> int:
    """Most activations one device holds; taken in a forward's slot, freed in a weight's."""
    forwards = np.sort(slots[:2].ravel())
    freed = np.searchsorted(np.sort(weights), forwards, side="right")
    return int((np.arange(1, len(forwards) + 1) - freed).max())


class _Squeeze:
    """Move every pass of the ramp-up and the ramp-down to the earliest slot memory allows.

    The steady state, from the first micro-batch's return to the last one's start, stays as the
    building block has it. With ``explicit_weights`` the weight parts have slots of their own
    and move too; without, they give way to other passes, and the ramp-up stays.
    """

    def __init__(self, slots: Slots, explicit_weights: bool) -> None:
        self.p, _, self.m = slots.shape
        self.slots, self.explicit = slots.copy(), explicit_weights
        self.weights = np.stack([_weight_slots(row) for row in slots])
        self.limit = max(_peak(slots[d], self.weights[d]) for d in range(self.p))
        self.taken: list[set[int]] = [set() for _ in range(self.p)]

    def run(self) -> None:
        steady_from, steady_to = int(self.slots[0, 3, 0]), int(self.slots[0, 0, -1])
        kinds: list[Slots] = [self.slots[:, kind, :] for kind in range(4)]
        if self.explicit:
            kinds.append(self.weights)
        passes = sorted(
            (int(slot), d, kind, i)
            for kind, rows in enumerate(kinds)
            for d in range(self.p)
            for i, slot in enumerate(rows[d])
        )
        for now, d, kind, i in passes:
            early, late = now < steady_from, now > steady_to
            if late or (early and self.explicit):
                self.move(now, d, kind, i)
            self.taken[d].add(self.slot_of(d, kind, i))
        if not self.explicit:
            self.weights = np.stack([_weight_slots(row) for row in self.slots])

    def slot_of(self, d: int, kind: int, i: int) -> int:
        return int(self.weights[d, i] if kind == 4 else self.slots[d, kind, i])

    def put(self, d: int, kind: int, i: int, slot: int) -> None:
        if kind == 4:
            self.weights[d, i] = slot
        else:
            self.slots[d, kind, i] = slot

    def move(self, now: int, d: int, kind: int, i: int) -> None:
        for slot in range(self.earliest(d, kind, i), now):
            if slot in self.taken[d]:
                continue
            self.put(d, kind, i, slot)
            if self.keeps_memory(d, kind):
                return
        self.put(d, kind, i, now)

    def earliest(self, d: int, kind: int, i: int) -> int:
        """First slot after everything the pass waits for."""
        before = [-1]
        if i > 0:
            before.append(self.slot_of(d, kind, i - 1))
        if kind == 4:
            before.append(int(np.sort(self.slots[d, 2:].ravel())[i]))
        else:
            source = d - 1 if kind in (0, 2) else d + 1
            if 0 <= source < self.p:
                before.append(int(self.slots[source, kind, i]))
            if kind > 0:
                before.append(int(self.slots[d, kind - 1, i]))
        return max(before) + 1

    def keeps_memory(self, d: int, kind: int) -> bool:
        if self.explicit:
            return kind > 1 or _peak(self.slots[d], self.weights[d]) <= self.limit
        return _peak(self.slots[d], _weight_slots(self.slots[d])) <= self.limit


def _start_early(slots: Slots, weights: NDArray[np.int64]) -> Slots:
    """Start every pass in the first slot the order on its device and its inputs allow."""
    p = len(slots)
    kinds: list[Slots] = [*(slots[:, kind, :] for kind in range(4)), weights]
    passes = sorted(
        (int(slot), d, kind, i)
        for kind, rows in enumerate(kinds)
        for d in range(p)
        for i, slot in enumerate(rows[d])
    )
    early = np.zeros_like(slots)
    free = [0] * p
    for _, d, kind, i in passes:
        slot = free[d]
        if kind < 4:
            source = d - 1 if kind in (0, 2) else d + 1
            if 0 <= source < p:
                slot = max(slot, int(early[source, kind, i]) + 1)
            early[d, kind, i] = slot
        free[d] = slot + 1
    return early
