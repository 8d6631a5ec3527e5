"""Contiguous stages of any graph, so that pipeline placements and schedules apply to it.

A cut is a set of units (operators that share a stage) that holds everything before its members:
an ideal of the order. A partition into S stages is a chain of cuts, and the best chain comes
from a dynamic programme over them, as in Tarnawski et al. 2020, "Efficient Algorithms for Device
Placement of DNN Graph Operators" (section 5.1). Where a graph has too many ideals, those of a
topological order and of a walk over the branches stand for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from planner_core.merging.ideals import MAX_CUTS, ideals, spread
from planner_core.merging.stage_units import FORWARD, StageUnits
from planner_core.problem import InputError, NotApplicable, Problem
from planner_core.problem.graph import FloatArray, IntArray
from planner_core.problem.pipeline import TAIL
from planner_core.problem.placements import pipeline_devices, stage_devices

SWEEPS = 4
"""How often the boundaries are looked over where devices run several stages."""


def derived_stages(
    problem: Problem,
    n_stages: int | None = None,
    *,
    placement: str = "linear",
    chunks: int = 2,
    ranks: Sequence[int] | None = None,
    slack: float = 0.0,
    placed: bool = False,
) -> Problem:
    """Return the same operators with stages: contiguous, balanced, cheap to cut.

    The heaviest stage is as light as any contiguous partition has it (where the ideals are few
    enough to look at all), the transfers between stages take the least time for that. Forward
    and backward of an operator share a stage. Stages that share a device are then balanced
    together.

    Parameters
    ----------
    problem : Problem
        A forward or a training graph.
    n_stages : int, optional
        Default: one per virtual stage of the placement; a multiple of them otherwise.
    placement : {"linear", "interleaved", "v", "bidirectional", "wave"}
        What the stages are balanced for; see
        :func:`planner_core.problem.placements.stage_devices`.
    chunks : int
        Stages per device of the interleaved and wave placements.
    ranks : sequence of int, optional
        Device of every rank; default those a pipeline can use, in the cluster's order. Stages
        are as unequal as the devices.
    slack : float
        Share by which the heaviest stage may be heavier if that makes transfers cheaper.
    placed : bool
        Whether every operator is bound to its stage's device. A bidirectional placement binds
        the first half of the micro-batches down the devices, the second half up.

    Returns
    -------
    Problem
        Its graph has the operators, tensors and numbers of ``problem``'s; schedules carry over.

    Raises
    ------
    NotApplicable
        If the graph has no such partition.
    InputError
        If a setting is out of range.
    """
    devices = pipeline_devices(problem) if ranks is None else list(ranks)
    routes = [
        [devices[rank] for rank in route]
        for route in stage_devices(placement, len(devices), chunks)
    ]
    n_virtual = len(routes[0])
    count = n_virtual if n_stages is None else n_stages
    if count < 1 or count % n_virtual:
        raise InputError(
            f"n_stages is {count}; the {placement} placement needs a multiple of {n_virtual}"
        )
    if not 0 <= slack < np.inf:
        raise InputError(f"slack is {slack:g}; it is a share, 0 or more")
    routes = [[k for k in route for _ in range(count // n_virtual)] for route in routes]
    stage = _cuts_of(problem).stages(routes, slack)
    staged = replace(problem, template=replace(problem.template, stage=stage))
    return _placed(staged, routes) if placed else staged


def _placed(problem: Problem, routes: list[list[int]]) -> Problem:
    """Bind every operator to its stage's device."""
    table = np.array(routes, dtype=np.int32)
    if len(routes) == 1:
        template = replace(
            problem.template,
            device_set=table[0][problem.template.stage],
            device_sets=tuple((name,) for name in problem.cluster.device_ids),
        )
        return replace(problem, template=template)
    graph = problem.graph
    half = (int(graph.micro_batch.max(initial=0)) + 2) // 2
    direction = (graph.micro_batch >= half).astype(np.int32)
    return problem.with_placement(table[direction, graph.stage])


@lru_cache(maxsize=2)
def _cuts_of(problem: Problem) -> _Cuts:
    """Cuts of a problem; kept, because every placement asks for the same ones."""
    return _Cuts.of(problem)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Cuts:
    """Where a graph may be cut, with what lies before each cut; c cuts, u units, K devices.

    Parameters
    ----------
    problem : Problem
    units : StageUnits
    member : bool array, shape (c, u)
        Units before a cut; the first cut has none, the last all.
    load : float array, shape (c, K)
        Work before a cut on each device, of one micro-batch.
    banned : int array, shape (c, K)
        Operators before a cut that may not run on a device.
    passes : int array, shape (c, 2)
        Operators of the forward and of the backward pass before a cut.
    weights, saved : float arrays, shape (c,)
        Memory before a cut: parameters, and activations saved for the backward pass.
    volume : float array, shape (c,)
        Size of the tensors that cross a cut, either way.
    crossing : bool array, shape (c,)
        Whether any does.
    """

    problem: Problem
    units: StageUnits
    member: NDArray[np.bool_]
    load: FloatArray
    banned: NDArray[np.int64]
    passes: NDArray[np.int64]
    weights: FloatArray
    saved: FloatArray
    volume: FloatArray
    crossing: NDArray[np.bool_]

    @classmethod
    def of(cls, problem: Problem) -> _Cuts:
        """Find the cuts of one micro-batch."""
        graph = problem.template
        units = StageUnits.of(graph)
        # Where the template lists every micro-batch itself, the first one stands for all.
        one = np.flatnonzero(graph.micro_batch <= 0)
        durations = problem.durations[: graph.n_operators][one]
        unit, phase = units.unit[one], units.phase[one]
        allowed = np.isfinite(durations)
        load = _per_unit(units.count, unit, np.where(allowed, durations, 0.0))
        banned = _per_unit(units.count, unit, ~allowed)
        kinds = np.stack([phase == FORWARD, (phase != FORWARD) & (phase != TAIL)], axis=1)
        passes = _per_unit(units.count, unit, kinds)
        a, b = graph.edge_source, graph.edge_target
        tensors = np.unique(
            graph.edge_tensor[(units.phase[a] == FORWARD) & (units.phase[b] != FORWARD)]
        )
        tensors = tensors[graph.micro_batch[graph.producer[tensors]] <= 0]
        saved = _per_unit(
            units.count, units.unit[graph.producer[tensors]], graph.size[tensors, None]
        )
        member = ideals(units, load.mean(axis=1))
        cuts = cls(
            problem=problem,
            units=units,
            member=member,
            load=member @ load,
            banned=member.astype(np.int64) @ banned.astype(np.int64),
            passes=member.astype(np.int64) @ passes.astype(np.int64),
            weights=member @ _weights(problem, units),
            saved=(member @ saved)[:, 0],
            volume=np.zeros(len(member)),
            crossing=np.zeros(len(member), dtype=bool),
        )
        cuts._measure_crossings()
        return cuts._thinned()

    def _measure_crossings(self) -> None:
        """Fill in what crosses each cut: a tensor counts once, however many consume it there."""
        graph, unit = self.problem.template, self.units.unit
        mine = graph.micro_batch[graph.producer] <= 0
        edges = np.flatnonzero(mine[graph.edge_tensor])
        a, b = unit[graph.edge_source[edges]], unit[graph.edge_target[edges]]
        edges, a, b = edges[a != b], a[a != b], b[a != b]
        tensors, row = np.unique(graph.edge_tensor[edges], return_inverse=True)
        sizes = graph.size[tensors]
        for c in range(len(self.member)):
            inside = self.member[c]
            cut = np.zeros(len(tensors), dtype=bool)
            cut[row[inside[a] != inside[b]]] = True
            self.volume[c] = sizes[cut].sum()
            self.crossing[c] = bool(cut.any())

    def _thinned(self) -> _Cuts:
        """Keep the cuts of least transfer at every load, and one complete chain of cuts."""
        if len(self.member) <= MAX_CUTS:
            return self
        work = self.load.mean(axis=1)
        sizes = self.member.sum(axis=1)
        walked = np.arange(self.units.count) < sizes[:, None]
        prefix = np.flatnonzero(np.all(self.member == walked, axis=1))
        prefix = prefix[spread(work[prefix], MAX_CUTS // 2)]
        kept = np.zeros(len(self.member), dtype=bool)
        kept[prefix] = True
        buckets = max(1, (MAX_CUTS - len(prefix)) // 3)
        bucket = np.minimum((work / max(work[-1], 1e-300) * buckets).astype(int), buckets)
        order = np.lexsort((self.volume, bucket))
        first = np.searchsorted(bucket[order], bucket[order])
        kept[order[np.arange(len(order)) - first < 3]] = True
        chosen = np.flatnonzero(kept)
        columns = ("member", "load", "banned", "passes", "weights", "saved", "volume", "crossing")
        return replace(self, **{name: getattr(self, name)[chosen] for name in columns})

    @cached_property
    def between(self) -> NDArray[np.bool_]:
        """Whether a stage may lie between two cuts: both passes in it; shape (c, c)."""
        inside = self.member.astype(np.float32)
        sizes = self.member.sum(axis=1)
        nested = inside @ inside.T > sizes[:, None] - 0.5
        for part in range(2):
            if self.passes[-1, part]:
                nested &= self.passes[None, :, part] > self.passes[:, None, part]
        return nested

    def stages(self, routes: list[list[int]], slack: float) -> IntArray:
        """Stage of every operator of the template for stages on given devices, shape (n,)."""
        costs = self._costs(routes)
        bottleneck = _least_bottleneck(costs)
        if not np.isfinite(bottleneck):
            raise NotApplicable(
                f"the graph has no {len(costs)} contiguous stages with a forward and a backward "
                "part each that their devices may run; ask for fewer stages"
            )
        moves = [self._move_times(routes, s) for s in range(len(costs))]
        chain = _cheapest_chain(costs, moves, bottleneck * (1 + slack) * (1 + 1e-12))
        if len(set(routes[0])) < len(costs):
            chain = self._balanced(chain, costs, routes[0], bottleneck * (1 + slack))
        stage_of_unit = np.full(self.units.count, -1, dtype=np.int32)
        for s in range(len(costs) - 1, -1, -1):
            stage_of_unit[self.member[chain[s + 1]]] = s
        return stage_of_unit[self.units.unit]

    def _costs(self, routes: list[list[int]]) -> list[FloatArray]:
        """Work of every stage between two cuts, inf where none may lie; S arrays (c, c).

        Memory limits are kept with the micro-batches that 1F1B has under way if possible, else
        with one of them, else not at all: then no contiguous partition fits, and whoever
        schedules it has to see.
        """
        n_stages = len(routes[0])
        m = max(self.problem.micro_batches, int(self.problem.template.micro_batch.max()) + 1)
        per_device = max(routes[0].count(k) for k in routes[0])
        under_way = [
            min(m, -(-(n_stages - s) // per_device) if len(routes) == 1 else n_stages + 1)
            for s in range(n_stages)
        ]
        for held in (under_way, [1] * n_stages, None):
            kept: dict[tuple[tuple[int, ...], int], FloatArray] = {}
            costs = []
            for s in range(n_stages):
                key = (tuple(route[s] for route in routes), held[s] if held else 0)
                if key not in kept:
                    kept[key] = self._cost(*key, per_device)
                costs.append(kept[key])
            if np.isfinite(_least_bottleneck(costs)):
                break
        return costs

    def _cost(self, hosts: tuple[int, ...], held: int, per_device: int) -> FloatArray:
        cost = np.zeros_like(self.between, dtype=float)
        possible = self.between.copy()
        weights = self.weights[None, :] - self.weights[:, None]
        saved = self.saved[None, :] - self.saved[:, None]
        for k in hosts:
            load = self.load[:, k]
            cost = np.maximum(cost, load[None, :] - load[:, None])
            possible &= self.banned[None, :, k] == self.banned[:, None, k]
            limit = self.problem.cluster.memory[k] * (1 + 1e-9)
            if held and np.isfinite(limit):
                possible &= weights + held * saved <= limit / per_device
        return np.where(possible, cost, np.inf)

    def _move_times(self, routes: list[list[int]], s: int) -> FloatArray:
        """Time the tensors across each cut take from stage s − 1 to stage s; shape (c,)."""
        if s == 0:
            return np.zeros(len(self.member))
        cluster = self.problem.cluster
        times = []
        for route in routes:
            a, b = route[s - 1], route[s]
            if a == b:
                times.append(np.zeros(len(self.member)))
                continue
            latency = np.where(self.crossing, cluster.latency[a, b], 0.0)
            times.append(latency + self.volume / cluster.bandwidth[a, b])
        return np.maximum.reduce(times)

    def _balanced(
        self, chain: list[int], costs: list[FloatArray], route: list[int], limit: float
    ) -> list[int]:
        """Shift boundaries so that the busiest device has less to do, and stages stay even."""
        hosts = np.array(route)
        chain = list(chain)
        for _ in range(SWEEPS):
            changed = False
            for s in range(1, len(costs)):
                before, behind = costs[s - 1][chain[s - 1]], costs[s][:, chain[s + 1]]
                own = np.array([costs[i][chain[i], chain[i + 1]] for i in range(len(costs))])
                loads = np.bincount(hosts, own)
                a, b = hosts[s - 1], hosts[s]
                rest = np.delete(loads, [a, b]).max(initial=0.0)
                alone = loads - np.bincount(hosts[[s - 1, s]], own[[s - 1, s]], len(loads))
                if a == b:
                    busiest = np.maximum(rest, alone[a] + before + behind)
                else:
                    busiest = np.maximum(rest, np.maximum(alone[a] + before, alone[b] + behind))
                heaviest = np.maximum(before, behind)
                busiest = np.where(heaviest <= max(limit, own.max()) * 1.05, busiest, np.inf)
                best = int(np.lexsort((heaviest, busiest))[0])
                now = chain[s]
                if (busiest[best], heaviest[best]) < (busiest[now], heaviest[now]):
                    chain[s], changed = best, True
            if not changed:
                break
        return chain


def _per_unit(count: int, unit: IntArray, columns: NDArray) -> FloatArray:
    """Sum of operators' columns per unit; shape (u, columns)."""
    table = np.zeros((count, columns.shape[1]))
    np.add.at(table, unit, columns)
    return table


def _weights(problem: Problem, units: StageUnits) -> FloatArray:
    """Parameters of every unit; a group of several units counts in each."""
    graph = problem.template
    owner = np.repeat(units.unit, np.diff(graph.parameter_ptr))
    used = np.unique(np.stack([owner, graph.parameter_index]), axis=1)
    return _per_unit(units.count, used[0], graph.group_size[used[1], None])[:, 0]


def _least_bottleneck(costs: list[FloatArray]) -> float:
    """Least possible cost of the costliest stage."""
    best = np.full(len(costs[0]), np.inf)
    best[0] = 0.0
    for cost in costs:
        best = np.maximum(best[:, None], cost).min(axis=0)
    return float(best[-1])


def _cheapest_chain(costs: list[FloatArray], moves: list[FloatArray], limit: float) -> list[int]:
    """Cuts 0 … S with the least transfer time, no stage above the limit."""
    total = np.full(len(costs[0]), np.inf)
    total[0] = 0.0
    back = []
    for cost, move in zip(costs, moves, strict=True):
        reach = np.where(cost <= limit, (total + move)[:, None], np.inf)
        back.append(reach.argmin(axis=0))
        total = reach.min(axis=0)
    chain = [len(total) - 1]
    for choice in reversed(back):
        chain.append(int(choice[chain[-1]]))
    return chain[::-1]
