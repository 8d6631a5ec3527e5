"""Building blocks: a micro-batch's passes on a grid of slots, repeated and squeezed.

A micro-batch runs in four legs: forward down the devices, forward up, backward down, backward
up. On a V placement they follow each other; on a bidirectional one the first and the last belong
to one direction, the other two to the other. (Qi et al. 2024, Pipeline Parallelism with
Controllable Memory, arXiv 2405.15362: repeat a block, squeeze the ramps within the peak memory.)
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner_core.baselines.layout import Action, Entry, Layout, Rows

PERIOD = 6
"""Slots in which every device runs two forwards, their input and their weight parts."""

SHORTEST = 8
"""Blocks whose memory is looked at."""

Slots = NDArray[np.int64]
"""Slot of every pass; (p, 4) for a block, (p, 4, m) for all micro-batches of a flow."""


@dataclass(frozen=True)
class Flow:
    """How the legs depend on each other and what they run.

    Parameters
    ----------
    after : tuple of 4
        The leg of the same micro-batch that a leg follows on the same device; None for none.
    two_directions : bool
        Whether the second and third leg belong to micro-batches of the other direction.
    """

    after: tuple[int | None, int | None, int | None, int | None]
    two_directions: bool

    def action(self, layout: Layout, d: int, leg: int, i: int) -> Action:
        """Action of a leg's i-th pass on device d."""
        p, first = layout.n_ranks, leg in (0, 3)
        letter = "F" if leg < 2 else "I"
        if self.two_directions:
            member = layout.micro_batches_of(0 if first else 1)[i]
            return (letter, d if first else p - 1 - d, member)
        return (letter, d if first else 2 * p - 1 - d, i)


V_FLOW = Flow(after=(None, 0, 1, 2), two_directions=False)
BIDIRECTIONAL_FLOW = Flow(after=(None, None, 1, 0), two_directions=True)


def rows_from_block(
    layout: Layout,
    block: Slots,
    flow: Flow = V_FLOW,
    limit: int | None = None,
    freed_by_input: bool = False,
) -> Rows:
    """Repeat a building block every period, squeeze it twice, add the weight parts.

    Parameters
    ----------
    layout : Layout
    block : int array, shape (p, 4)
    flow : Flow
    limit : int, optional
        Activations a device may hold; default (and at least) what the repeated block holds.
    freed_by_input : bool
        Whether activations are freed by I; else by W.

    Returns
    -------
    Rows
    """
    m = layout.n_micro_batches // (2 if flow.two_directions else 1)
    slots = block[:, :, None] + PERIOD * np.arange(m)
    for explicit_weights in (True, False):
        squeeze = _Squeeze(slots, flow, explicit_weights, limit, freed_by_input)
        squeeze.run()
        slots = _start_early(squeeze.slots, squeeze.weights, flow)
    return [_row(layout, flow, slots[d], d) for d in range(layout.n_ranks)]


def shortest_block(p: int, down: int, up: int, flow: Flow) -> Slots | None:
    """Find the block of least memory whose legs advance ``down`` and ``up`` slots per device.

    Of the blocks with the shortest lifespans, the one that holds least when repeated.

    Returns None if no offsets keep the slots of every device apart in every period.
    """
    d = np.arange(p)
    legs = [down * d, up * (p - 1 - d), down * d, up * (p - 1 - d)]
    found: list[tuple[int, int, Slots]] = []
    for wait in itertools.product(range(PERIOD), repeat=3):
        starts = [legs[0]]
        for leg in (1, 2, 3):
            before = flow.after[leg]
            # A leg starts where the leg before it on its way has ended.
            end = 0 if before is None else starts[before][0 if leg == 2 else p - 1] + 1
            starts.append(legs[leg] + end + wait[leg - 1])
        block = np.stack(starts, axis=1)
        apart = all(len(set(row)) == 4 for row in (block % PERIOD).tolist())
        pairs = ((0, 3), (1, 2))
        lifespan = sum(int((block[:, b] - block[:, a]).max()) for a, b in pairs)
        if apart:
            found.append((lifespan, len(found), block))
    found.sort(key=lambda row: row[:2])
    return min((block for _, _, block in found[:SHORTEST]), key=_repeated_peak, default=None)


def _repeated_peak(block: Slots) -> int:
    """Most activations a device holds when a block is repeated, freed by weight parts."""
    repeats = int(block.max() - block.min()) // PERIOD + 3
    slots = block[:, :, None] + PERIOD * np.arange(repeats)
    return max(_peak(row, _weight_slots(row)) for row in slots)


def _row(layout: Layout, flow: Flow, slots: Slots, d: int) -> list[Entry]:
    """One device's passes in order, weight parts in the free slots; ``slots`` is (4, m)."""
    passes = sorted((int(slot), leg, i) for leg in range(4) for i, slot in enumerate(slots[leg]))
    weights = _weight_slots(slots).tolist()
    row: list[Entry] = []
    waiting: list[Entry] = []
    done = 0
    for slot, leg, i in passes:
        while done < len(weights) and weights[done] < slot:
            row.append(waiting[done])
            done += 1
        letter, v, member = flow.action(layout, d, leg, i)
        row.append((letter, v, member))
        if letter == "I":
            waiting.append(("W", v, member))
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


def _peak(slots: Slots, frees: NDArray[np.int64]) -> int:
    """Most activations one device holds; taken in a forward's slot, freed in those given."""
    forwards = np.sort(slots[:2].ravel())
    freed = np.searchsorted(np.sort(frees), forwards, side="right")
    return int((np.arange(1, len(forwards) + 1) - freed).max())


class _Squeeze:
    """Move every pass of the ramp-up and the ramp-down to the earliest slot memory allows.

    The steady state, from the first micro-batch's return to the last one's start, stays as the
    building block has it. With ``explicit_weights`` the weight parts have slots of their own
    and move too; without, they give way to other passes, and the ramp-up stays.
    """

    def __init__(
        self,
        slots: Slots,
        flow: Flow,
        explicit_weights: bool,
        limit: int | None,
        freed_by_input: bool,
    ) -> None:
        self.p, _, self.m = slots.shape
        self.slots, self.explicit = slots.copy(), explicit_weights
        self.flow, self.freed_by_input = flow, freed_by_input
        self.weights = np.stack([_weight_slots(row) for row in slots])
        own = max(self.peak(d, self.weights[d]) for d in range(self.p))
        self.limit = max(own, limit or 0)
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
            own = self.flow.after[kind]
            if own is not None:
                before.append(int(self.slots[d, own, i]))
        return max(before) + 1

    def keeps_memory(self, d: int, kind: int) -> bool:
        if self.explicit:
            return kind > 1 or self.peak(d, self.weights[d]) <= self.limit
        return self.peak(d, _weight_slots(self.slots[d])) <= self.limit

    def peak(self, d: int, weights: NDArray[np.int64]) -> int:
        frees = self.slots[d, 2:].ravel() if self.freed_by_input else weights
        return _peak(self.slots[d], frees)


def _start_early(slots: Slots, weights: NDArray[np.int64], flow: Flow) -> Slots:
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
            own = flow.after[kind]
            if own is not None:
                slot = max(slot, int(early[d, own, i]) + 1)
            early[d, kind, i] = slot
        free[d] = slot + 1
    return early
