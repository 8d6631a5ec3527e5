"""The max-load assignment with alternatives: how operators are split and where the shards run.

``y[o, w]`` says "operator o is done in way w", ``n[o, w, k]`` how many of its shards run on
device k. Shards are counted, not told apart, and of a tensor's copies only those are charged
that every arrangement of the counted shards needs: the optimum is a bound on the period over all
choices, and its choice is a good one to try (after Tarnawski, Narayanan and Phanishayee 2021,
"Piper", who restrict it to contiguous stages).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyomo.environ as pyo

from planner_core.milp.free_grid import interchangeable_devices
from planner_core.milp.steps import StepModel, Term
from planner_core.problem.alternatives import Alternative, SplitProblem
from planner_core.problem.expansion import held_sizes
from planner_core.problem.graph import FloatArray

SLACK = 1e-9
"""Share by which limits are widened, so that rounding forbids nothing."""


class SplitLoadModel:
    """The Pyomo model, and how to read the choice off its solutions.

    Parameters
    ----------
    split : SplitProblem
    high : float
        Load of the busiest stream that is known to be possible; the model's unit.
    least : float
        Known lower bound on it.
    stopped : callable
        Looked at while the model is built (BuildStopped is raised).
    """

    def __init__(
        self, split: SplitProblem, high: float, least: float, stopped: Callable[[], bool]
    ) -> None:
        self.split, self.problem, self.high = split, split.problem, high
        self.graph, self.cluster = split.problem.template, split.problem.cluster
        self.devices = range(self.problem.n_devices)
        self.steps = StepModel(stopped)
        self.ways: list[list[Alternative]] = []
        self.time: list[list[FloatArray]] = []
        self.y: list[list[Any]] = []
        self.column: list[tuple[int, int]] = []
        for o in range(self.graph.n_operators):
            self._choose(o)
        self.on: list[list[dict[int, Any]]] = [[{} for _ in ways] for ways in self.ways]
        self.count: list[list[dict[int, list[Term]]]] = [[{} for _ in w] for w in self.ways]
        self.busy: dict[tuple[int, int], list[Term]] = {}
        for o in range(self.graph.n_operators):
            for w in range(len(self.ways[o])):
                self._place(o, w)
        self._distinct()
        self._colocation()
        self._memory()
        if self.cluster.staged:
            for t in range(self.graph.n_tensors):
                self._copies(t)
        self.model = self._finish(least)

    def choice(self, values: FloatArray) -> dict[str, str]:
        """Return the alternative of every operator that has some, in a solution."""
        chosen: dict[str, str] = {}
        for value, (o, w) in zip(values, self.column, strict=False):
            if value > 0.5:
                chosen[str(self.graph.operator_ids[o])] = self.ways[o][w].id
        for o, ways in enumerate(self.ways):
            name = str(self.graph.operator_ids[o])
            if name in self.split.alternatives and len(ways) == 1:
                chosen[name] = ways[0].id
        return chosen

    # Choice and placement -------------------------------------------------------------------

    def _choose(self, o: int) -> None:
        """Give every way of an operator that can be within the known load a binary."""
        kept = []
        for way in self.split.ways(o):
            time = self.split.durations(o, way)
            time = np.where(time <= self.high * (1 + SLACK), time, np.inf)
            if np.isfinite(time).any():
                kept.append((way, time))
        self.ways.append([way for way, _ in kept])
        self.time.append([time for _, time in kept])
        if len(kept) == 1:
            self.y.append([1])
            return
        self.y.append([self.steps.binary() for _ in kept])
        self.column += [(o, w) for w in range(len(kept))]
        self._exactly([(1.0, y) for y in self.y[-1]], 1.0)

    def _place(self, o: int, w: int) -> None:
        """Count the shards on every device: one, and more only where there is one."""
        way, time, y = self.ways[o][w], self.time[o][w], self.y[o][w]
        stream = int(self.graph.stream[o])
        network = self._stream("network") if way.shards > 1 and way.collective else -1
        placed: list[Term] = [(-float(way.shards), y)]
        for k in np.flatnonzero(np.isfinite(time)).tolist():
            here = self.steps.binary()
            self.on[o][w][k] = here
            shards: list[Term] = [(1.0, here)]
            if way.shards > 1:
                more = self.steps.share()
                self.steps.at_most([(1.0, more), (-1.0, here)], 0.0)
                shards.append((float(way.shards - 1), more))
            self.count[o][w][k] = shards
            self.steps.at_most([(1.0, here), (-1.0, y)], 0.0)
            placed += shards
            self._keep_busy(stream, k, float(time[k]), shards)
            if network >= 0:
                exchange = way.collective / float(self.cluster.speed[k])
                self._keep_busy(network, k, exchange, shards)
        self._exactly(placed, 0.0)

    def _keep_busy(self, stream: int, k: int, time: float, shards: list[Term]) -> None:
        if time > 0:
            row = self.busy.setdefault((stream, k), [])
            row += [(time / self.high * c, x) for c, x in shards]

    def _stream(self, name: str) -> int:
        names = self.graph.stream_names
        return names.index(name) if name in names else len(names)

    def _distinct(self) -> None:
        """Interchangeable devices: the first operator uses the first ones."""
        heaviest = int(np.argmax([max(map(np.min, times), default=0.0) for times in self.time]))
        for alike in interchangeable_devices(self.split.least()):
            kinds: dict[tuple[str | None, float], list[int]] = {}
            for k in alike:
                kind = self.cluster.device_types[k], float(self.cluster.speed[k])
                kinds.setdefault(kind, []).append(k)
            for group in kinds.values():
                for w, way in enumerate(self.ways[heaviest]):
                    for k in group[way.shards :]:
                        if k in self.on[heaviest][w]:
                            self.steps.at_most([(1.0, self.on[heaviest][w][k])], 0.0)

    def _colocation(self) -> None:
        """Shard i of each member of a group is with shard i of the others."""
        first: dict[int, int] = {}
        for o in np.flatnonzero(self.graph.colocation >= 0).tolist():
            other = first.setdefault(int(self.graph.colocation[o]), o)
            if other != o:
                self._together(o, other)
                self._together(other, o)

    def _together(self, a: int, b: int) -> None:
        """Where a has shards, b has as many, unless b is split in fewer."""
        for shards in {way.shards for way in self.ways[a]}:
            fewer: list[Term] = [
                (-float(shards), self.y[b][w])
                for w, way in enumerate(self.ways[b])
                if way.shards < shards
            ]
            for k in self.devices:
                mine = [
                    term
                    for w, way in enumerate(self.ways[a])
                    if way.shards == shards
                    for term in self.count[a][w].get(k, ())
                ]
                if mine:
                    its = [(-c, x) for w in self.count[b] for c, x in w.get(k, ())]
                    self.steps.at_most([*mine, *its, *fewer], 0.0)

    def _memory(self) -> None:
        """Parameter groups are within the limits: of users in one way, the one with most shards."""
        limit = self.cluster.memory
        for k in np.flatnonzero(np.isfinite(limit)).tolist():
            users: dict[tuple[str, str | None], list[tuple[float, list[Term]]]] = {}
            for o, ways in enumerate(self.ways):
                for w, way in enumerate(ways):
                    if k in self.count[o][w]:
                        for key, size in held_sizes(self.graph, o, way).items():
                            users.setdefault(key, []).append((size, self.count[o][w][k]))
            unit = max(float(limit[k]), 1e-300)
            terms: list[Term] = []
            for rows in users.values():
                size = rows[0][0] / unit
                if size <= 0:
                    continue
                if len(rows) == 1:
                    terms += [(size * c, x) for c, x in rows[0][1]]
                    continue
                there = self.steps.share()
                most = max(sum(c for c, _ in shards) for _, shards in rows)
                for _, shards in rows:
                    self.steps.at_most([*shards, (-most, there)], 0.0)
                terms.append((size * most, there))
            self.steps.at_most(terms, 1.0 + SLACK)

    # Staged transfers -----------------------------------------------------------------------

    def _copies(self, t: int) -> None:
        """Charge the copies of a tensor to both ends, at least what every choice pays."""
        name, time = str(self.graph.tensor_ids[t]), self._time(t)
        p, consumers = int(self.graph.producer[t]), self.graph.consumers_of(t).tolist()
        extra = [[way.gather.get(name, 0.0) for way in self.ways[o]] for o in (p, *consumers)]
        longest = (time + max((max(row, default=0.0) for row in extra), default=0.0)) / self.high
        if longest <= 0:
            return
        for k in np.flatnonzero(~self.cluster.host).tolist():
            enters = [
                [
                    ((time + more) / self.high, self.on[c][w][k])
                    for w, more in enumerate(row)
                    if k in self.on[c][w]
                ]
                for c, row in zip(consumers, extra[1:], strict=True)
            ]
            if any(enters):
                there: list[Term] = [(-longest, x) for x in self._here(p, k)]
                amount = self._pays(k, longest)
                for needed in enters:
                    self.steps.at_most([*needed, *there, (-longest, amount)], 0.0)
            if self._here(p, k):
                amount = self._pays(k, longest)
                for c in consumers:
                    self._leaving(k, (p, c), (time, extra[0]), longest, amount)

    def _leaving(
        self,
        k: int,
        ends: tuple[int, int],
        times: tuple[float, list[float]],
        longest: float,
        amount: Any,
    ) -> None:
        """A copy leaves device k if its shard is there and not all that it serves is."""
        p, c = ends
        share: list[Term] = [
            (-longest * coefficient / way.shards, x)
            for w, way in enumerate(self.ways[c])
            for coefficient, x in self.count[c][w].get(k, ())
        ]
        here: list[Term] = [(-longest, x) for x in self._here(c, k)]
        for w, way in enumerate(self.ways[p]):
            if k not in self.on[p][w]:
                continue
            needed: Term = ((times[0] + times[1][w]) / self.high, self.on[p][w][k])
            if way.shards == 1:
                self.steps.at_most([needed, *share, (-longest, amount)], 0.0)
                continue
            # Of more copies than the consumer has shards, some serve nobody.
            unused: list[Term] = [
                (-longest, self.y[c][v])
                for v, other in enumerate(self.ways[c])
                if other.shards < way.shards
            ]
            self.steps.at_most([needed, *here, *unused, (-longest, amount)], 0.0)

    def _here(self, o: int, k: int) -> list[Any]:
        """Whether an operator has shards on device k: one variable per way."""
        return [row[k] for row in self.on[o] if k in row]

    def _pays(self, k: int, longest: float) -> Any:
        """Return the share of the longest copy that keeps the compute stream of k busy."""
        amount = self.steps.share()
        self.busy.setdefault((0, k), []).append((longest, amount))
        return amount

    def _time(self, t: int) -> float:
        """Least time a copy of a tensor takes between two devices."""
        if not np.isnan(self.graph.transfer[t]):
            return float(self.graph.transfer[t])
        name, size = str(self.graph.tensor_ids[t]), float(self.graph.size[t])
        ways = self.ways[int(self.graph.producer[t])]
        size = min((way.tensors.get(name, size) for way in ways), default=0.0)
        linked = self.cluster.has_link & ~np.eye(self.problem.n_devices, dtype=bool)
        times = self.cluster.latency[linked] + size / self.cluster.bandwidth[linked]
        return float(times.min(initial=np.inf)) if linked.any() else 0.0

    # Rows -----------------------------------------------------------------------------------

    def _exactly(self, terms: list[Term], value: float) -> None:
        self.steps.at_most(terms, value)
        self.steps.at_most([(-c, x) for c, x in terms], -value)

    def _finish(self, least: float) -> pyo.ConcreteModel:
        load = self.steps.share()
        load.setlb(min(1.0, least / self.high))
        for terms in self.busy.values():
            self.steps.at_most([*terms, (-1.0, load)], 0.0)
        model = self.steps.finish()
        model.feasibility.deactivate()
        model.goal = pyo.Objective(expr=load)
        return model
