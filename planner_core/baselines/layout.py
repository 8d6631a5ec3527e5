"""Where a schedule family puts the stages of a pipeline, and which operators its actions mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from planner_core.problem import NotApplicable, Problem
from planner_core.problem.graph import FloatArray, IntArray
from planner_core.problem.pipeline import Cell, PipelineView
from planner_core.problem.placements import pipeline_devices
from planner_core.schedule import Block

Action = tuple[str, int, int]
"""(letter, virtual stage, micro-batch); letters: F forward, I and W the input and weight parts
of the backward, B both as one."""

Entry = Action | tuple[Action, ...]
"""One action, or several that run as one block (DualPipe's overlapped pair)."""

Rows = list[list[Entry]]
"""What every rank runs, in order."""


def actions_of(entry: Entry) -> tuple[Action, ...]:
    """Actions of an entry: its own, or those of a block."""
    return (entry,) if isinstance(entry[0], str) else entry  # type: ignore[return-value]


@dataclass(frozen=True, eq=False, kw_only=True)
class Layout:
    """A pipeline on p ranks with V virtual stages, each a group of consecutive stages.

    Parameters
    ----------
    problem : Problem
        What is scheduled: the user's problem, or that problem with this placement.
    own_placement : bool
        Whether the user's problem does not allow this placement.
    view : PipelineView
    ranks : list of p ints
        Device of each rank.
    routes : list of lists of int
        Rank of every virtual stage, one list per direction.
    direction : int array, shape (m,)
        Direction of every micro-batch.
    device : int32 array, shape (n,)
        Device of every operator.
    """

    problem: Problem
    own_placement: bool
    view: PipelineView
    ranks: list[int]
    routes: list[list[int]]
    direction: IntArray
    device: IntArray

    @property
    def n_ranks(self) -> int:
        """Number of devices p."""
        return len(self.ranks)

    @property
    def n_micro_batches(self) -> int:
        """Number of micro-batches m."""
        return self.view.n_micro_batches

    @property
    def n_virtual(self) -> int:
        """Number of virtual stages V."""
        return len(self.routes[0])

    @property
    def stages_per_virtual(self) -> int:
        """Stages in a virtual stage."""
        return self.view.n_stages // self.n_virtual

    def micro_batches_of(self, direction: int) -> list[int]:
        """Micro-batches of a direction, in order."""
        return np.flatnonzero(self.direction == direction).tolist()

    def operators(self, action: Action) -> Cell:
        """Operators an action means, in the order they run."""
        letter, v, i = action
        view, size = self.view, self.stages_per_virtual
        stages = range(v * size, (v + 1) * size)
        if letter == "F":
            return tuple(o for s in stages for o in view.forward(s, i))
        backwards = reversed(stages)
        if letter == "I":
            return tuple(o for s in backwards for o in view.backward_input(s, i))
        if letter == "W":
            return tuple(o for s in backwards for o in view.backward_weight(s, i))
        return tuple(
            o
            for s in backwards
            for part in (view.backward, view.backward_input, view.backward_weight)
            for o in part(s, i)
        )

    def order(self, rows: Rows) -> tuple[list[list[int | Block]], set[Block]]:
        """Translate what ranks run into operators of devices.

        Returns
        -------
        order : list of K lists
            For :func:`planner_core.schedule.simulate`. A backward ``B`` of split operators is a
            block: its gradient leaves when its weight part has ended.
        pairs : set of blocks
            The blocks that stand for several actions.
        """
        order: list[list[int | Block]] = [[] for _ in range(self.problem.n_devices)]
        pairs: set[Block] = set()
        stream = self.problem.graph.stream
        for rank, row in enumerate(rows):
            out = order[self.ranks[rank]]
            for entry in row:
                actions = actions_of(entry)
                paired = len(actions) > 1
                block = tuple(o for action in actions for o in self.operators(action))
                as_one = paired or (actions[0][0] == "B" and self.is_split_at(actions[0]))
                # A block spans one stream; operators on several streams keep their order only.
                if as_one and len(block) > 1 and len(set(stream[list(block)].tolist())) == 1:
                    out.append(block)
                    if paired:
                        pairs.add(block)
                else:
                    out.extend(block)
        for tail in self.view.tails:
            for o in tail:
                order[self.device[o]].append(o)
        return order, pairs

    def is_split_at(self, action: Action) -> bool:
        """Whether the backward of an action's cell consists of two parts."""
        return bool(self.operators(("I", *action[1:])) or self.operators(("W", *action[1:])))

    def cost(self, letter: str, virtual: int, micro_batch: int) -> float:
        """Time F, I or W takes on its device."""
        return float(self.costs["FIW".index(letter), virtual, micro_batch])

    @cached_property
    def costs(self) -> FloatArray:
        """Time of every F, I, W and fused backward on its device; shape (4, V, m)."""
        view, n = self.view, len(self.device)
        table = np.zeros((4, self.n_virtual, self.n_micro_batches))
        inside = view.phase < len(table)
        at = (view.phase, view.stage // self.stages_per_virtual, view.micro_batch)
        own = self.problem.durations[np.arange(n), self.device]
        np.add.at(table, tuple(column[inside] for column in at), own[inside])
        return table

    @cached_property
    def lags(self) -> dict[tuple[str, int, int], float]:
        """Transfer time of what an action sends on: (F or I, virtual stage, direction) → time.

        Read off the first micro-batch of each direction.
        """
        graph, view = self.problem.graph, self.view
        first = {
            self.micro_batches_of(r)[0]: r
            for r in range(len(self.routes))
            if self.micro_batches_of(r)
        }
        a, b = graph.edge_source, graph.edge_target
        group = view.stage // self.stages_per_virtual
        crossing = np.isin(view.micro_batch[a], list(first)) & (group[a] != group[b])
        crossing &= self.device[a] != self.device[b]
        lags: dict[tuple[str, int, int], float] = {}
        for e in np.flatnonzero(crossing).tolist():
            source, target = int(a[e]), int(b[e])
            letter = "F" if view.phase[source] == 0 else "I"
            if abs(group[source] - group[target]) != 1:
                continue  # skips travel beside the pipeline
            key = (letter, int(group[source]), first[int(view.micro_batch[source])])
            time = self.problem.transfer_time(
                int(graph.edge_tensor[e]), int(self.device[source]), int(self.device[target])
            )
            lags[key] = max(lags.get(key, 0.0), time)
        return lags

    @cached_property
    def holdings(self) -> dict[tuple[str, int, int], tuple[float, float]]:
        """Memory each action takes and frees: (F, I or W, virtual stage, direction) → (+, −).

        Tensors with a consumer on the producer's device, of the first micro-batch of each
        direction; taken at the producer, freed by the last local consumer.
        """
        graph, view = self.problem.graph, self.view
        letters = ("F", "I", "W", "B")
        table: dict[tuple[str, int, int], list[float]] = {}
        for r in range(len(self.routes)):
            members = self.micro_batches_of(r)
            if not members:
                continue
            group = view.stage // self.stages_per_virtual
            for v in range(self.n_virtual):
                for letter in letters:
                    table[letter, v, r] = [0.0, 0.0]
            mine = np.flatnonzero(
                (graph.size > 0) & (view.micro_batch[graph.producer] == members[0])
            )
            for t in mine.tolist():
                producer = int(graph.producer[t])
                local = [
                    c
                    for c in graph.consumers_of(t).tolist()
                    if self.device[c] == self.device[producer]
                ]
                if not local or view.phase[producer] >= len(letters):
                    continue
                size = float(graph.size[t])
                last = max(local, key=lambda c: int(view.phase[c]))
                table[letters[view.phase[producer]], int(group[producer]), r][0] += size
                if view.phase[last] < len(letters):
                    table[letters[view.phase[last]], int(group[last]), r][1] += size
        return {key: (taken, freed) for key, (taken, freed) in table.items()}


@lru_cache(maxsize=2)
def view_of(problem: Problem) -> PipelineView:
    """Return the pipeline view of a problem; kept, because all families ask for the same one."""
    return PipelineView.of(problem)


def lay_out(problem: Problem, view: PipelineView, routes: Sequence[Sequence[int]]) -> Layout:
    """Put a pipeline on devices, the way the user's problem places it if that is possible.

    Parameters
    ----------
    problem : Problem
    view : PipelineView
        Of that problem.
    routes : sequence of sequences of int
        Rank of every virtual stage, one sequence per direction.

    Raises
    ------
    NotApplicable
        If the stages do not divide into the virtual stages, or an operator has no duration on
        its device.
    """
    devices = pipeline_devices(problem)
    n_virtual = len(routes[0])
    if view.n_stages % n_virtual:
        raise NotApplicable(
            f"this schedule has {n_virtual} virtual stages on {len(devices)} devices; the "
            f"{view.n_stages} stages do not divide into them evenly"
        )
    group = view.stage // (view.n_stages // n_virtual)
    # The user's order of devices if it is this placement, else the cluster's.
    for ranks in (_ranks(problem, view, group, devices, routes[0]), devices):
        table = np.array([[ranks[rank] for rank in route] for route in routes], dtype=np.int32)
        direction = _directions(problem, view, group, table)
        device = table[np.where(view.micro_batch >= 0, direction[view.micro_batch], 0), group]
        durations = problem.durations
        allowed = bool(np.all(np.isfinite(durations[np.arange(len(device)), device])))
        if allowed:
            break
    placed = problem if allowed else problem.with_placement(device)
    lost = np.flatnonzero(~np.isfinite(placed.durations[np.arange(len(device)), device]))
    if len(lost):
        names = problem.cluster.device_ids
        raise NotApplicable(
            f"operator '{problem.graph.operator_ids[lost[0]]}' gives no duration for the type of "
            f"device '{names[device[lost[0]]]}', where this schedule would run it"
        )
    return Layout(
        problem=placed,
        own_placement=not allowed,
        view=view,
        ranks=ranks,
        routes=[list(route) for route in routes],
        direction=direction,
        device=device,
    )


def _ranks(
    problem: Problem,
    view: PipelineView,
    group: IntArray,
    devices: list[int],
    route: Sequence[int],
) -> list[int]:
    """Device of each rank: the user's where the first micro-batch's placement tells it."""
    ranks = [-1] * len(devices)
    first = np.flatnonzero((view.micro_batch == 0) & (problem.fixed_device >= 0))
    wanted = {int(group[o]): int(problem.fixed_device[o]) for o in first[::-1].tolist()}
    for v, rank in enumerate(route):
        device = wanted.get(v, -1)
        if ranks[rank] < 0 and device in devices and device not in ranks:
            ranks[rank] = device
    free = iter(k for k in devices if k not in ranks)
    return [k if k >= 0 else next(free) for k in ranks]


def _directions(problem: Problem, view: PipelineView, group: IntArray, table: IntArray) -> IntArray:
    """Direction of every micro-batch: the user's if placed that way and balanced, else halves."""
    m = view.n_micro_batches
    if len(table) == 1:
        return np.zeros(m, dtype=np.int32)
    member = view.micro_batch >= 0
    fits = np.ones((m, len(table)), dtype=bool)
    for r, route in enumerate(table):
        wrong = member & (problem.fixed_device != route[group])
        fits[np.unique(view.micro_batch[wrong]), r] = False
    chosen = np.argmax(fits, axis=1).astype(np.int32)
    if np.all(fits.any(axis=1)) and abs(m - 2 * int(chosen.sum())) <= 1:
        return chosen
    return (np.arange(m) >= (m + 1) // 2).astype(np.int32)
