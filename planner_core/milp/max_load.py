"""The assignment formulation: pieces to devices, without times, as a Pyomo model.

``x[u, k]`` says "piece u runs on device k". A net enters device k if a consumer is there and
its producer is not; with staged transfers the entering and the leaving keep compute streams busy
(Tarnawski et al. 2020, "Efficient Algorithms for Device Placement of DNN Graph Operators",
section 5). Minimised is the busiest stream's load (the period times the micro-batches of a
schedule) or the memory moved. The memory rows state what every schedule of an assignment needs,
so that the optimum is a bound whether or not a schedule that fits in memory exists.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.core.expr.numeric_expr import LinearExpression

from planner_core.milp.pieces import Pieces
from planner_core.problem.graph import FloatArray, IntArray

Term = tuple[float, Any]

SLACK = 1e-9
"""Share by which limits are widened, so that rounding forbids nothing."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Question:
    """What is asked of an assignment.

    Parameters
    ----------
    goal : {"load", "volume"}
        What is minimised: the busiest stream's load or the memory moved.
    load, volume : float
        Largest allowed value of each; of the goal a known value not to exceed.
    least : float
        Known lower bound on the goal.
    free : bool array, shape (U, K), optional
        Where pieces may run, for a neighbourhood; default wherever they are allowed, less what
        interchangeable devices make superfluous.
    forbidden : tuple of int arrays, shape (U,)
        Assignments that are known to have no schedule.
    """

    goal: str = "load"
    load: float = np.inf
    volume: float = np.inf
    least: float = 0.0
    free: np.ndarray | None = None
    forbidden: tuple[IntArray, ...] = ()


class AssignmentModel:
    """The Pyomo model of a question, and how to read and write its solutions.

    Parameters
    ----------
    pieces : Pieces
    question : Question
    """

    def __init__(self, pieces: Pieces, question: Question) -> None:
        self.pieces, self.question = pieces, question
        self.problem, self.cluster = pieces.problem, pieces.problem.cluster
        self.model = pyo.ConcreteModel()
        self.model.x = pyo.VarList(domain=pyo.Binary)
        self.model.share = pyo.VarList(domain=pyo.UnitInterval)
        self.model.amount = pyo.VarList(domain=pyo.NonNegativeReals)
        self.rows: list[tuple[LinearExpression, float]] = []
        self.broken = False
        self.x: dict[tuple[int, int], Any] = {}
        self.column: list[tuple[int, int]] = []
        self.home = np.full(pieces.count, -1, dtype=np.int32)
        self.busy: dict[tuple[int, int], list[Term]] = {}
        self.moved: list[Term] = []
        self._build()

    @property
    def decided(self) -> bool:
        """Whether the rows contradict each other without any search."""
        return self.broken

    def device(self, values: FloatArray) -> IntArray:
        """Device of every piece in a solution."""
        device = self.home.copy()
        for value, (u, k) in zip(values, self.column, strict=False):
            if value > 0.5:
                device[u] = k
        return device

    def start(self, device: IntArray) -> FloatArray | None:
        """Column values of the pieces' binaries for an assignment; None if it is excluded."""
        inside = all((u, int(k)) in self.x for u, k in enumerate(device))
        if not inside:
            return None
        return np.array([float(device[u] == k) for u, k in self.column])

    def _build(self) -> None:
        for u in range(self.pieces.count):
            self._place(u)
        if self.cluster.staged or self.question.goal == "volume" or self._limits_volume:
            for net in range(self.pieces.n_nets):
                self._net(net)
        self._links()
        self._memory()
        self._goal()
        for device in self.question.forbidden:
            here = [(1.0, self.x[u, int(k)]) for u, k in enumerate(device) if (u, int(k)) in self.x]
            if len(here) == self.pieces.count:
                self._at_most(here, self.pieces.count - 1.0)
        rows = self.rows
        self.model.rows = pyo.Constraint(range(len(rows)), rule=lambda _, i: (None, *rows[i]))

    @property
    def _limits_volume(self) -> bool:
        return bool(np.isfinite(self.question.volume))

    def _place(self, u: int) -> None:
        """Give piece u a binary per device it may use; 1 where there is only one."""
        free = self._free
        fits = self.pieces.load[u].max(axis=0) <= self.question.load * (1 + SLACK)
        devices = np.flatnonzero(free[u] & fits).tolist()
        if not devices:
            self.broken = True
        for k in devices:
            if len(devices) == 1:
                self.x[u, k], self.home[u] = 1, k
            else:
                self.x[u, k] = self.model.x.add()
                self.column.append((u, k))
            for s, load in enumerate(self.pieces.load[u, :, k].tolist()):
                if load > 0:
                    self.busy.setdefault((s, k), []).append((load, self.x[u, k]))
        if len(devices) > 1:
            terms = [(1.0, self.x[u, k]) for k in devices]
            self._at_most(terms, 1.0)
            self._at_most([(-c, x) for c, x in terms], -1.0)

    @property
    def _free(self) -> np.ndarray:
        if self.question.free is None:
            return distinct(self.pieces)
        return self.pieces.allowed & self.question.free

    def _at_most(self, terms: list[Term], limit: float) -> None:
        """Add the row Σ coefficient · variable ≤ limit; numbers among the variables are known."""
        factor: dict[int, float] = {}
        unknown: dict[int, Any] = {}
        for coefficient, x in terms:
            if isinstance(x, int):
                limit -= coefficient * x
            else:
                unknown[id(x)] = x
                factor[id(x)] = factor.get(id(x), 0.0) + coefficient
        if not unknown:
            self.broken |= limit < -1e-9 * max(1.0, sum(abs(c) for c, _ in terms))
            return
        row = LinearExpression(
            constant=0, linear_coefs=list(factor.values()), linear_vars=list(unknown.values())
        )
        self.rows.append((row, limit))

    def _on(self, u: int, k: int) -> Any:
        return self.x.get((u, k), 0)

    def _consumers(self, net: int) -> list[int]:
        pieces = self.pieces
        return pieces.consumer[pieces.net_ptr[net] : pieces.net_ptr[net + 1]].tolist()

    def _net(self, net: int) -> None:
        """Say on which devices a net enters, and charge for it."""
        volume, times = float(self.pieces.volume[net]), self.pieces.net_time(net)
        timed = self.cluster.staged and bool(times.any())
        counted = volume > 0 and (self.question.goal == "volume" or self._limits_volume)
        if not (timed or counted):
            return
        p, consumers = int(self.pieces.producer[net]), self._consumers(net)
        entering: dict[int, Any] = {}
        for k in range(self.problem.n_devices):
            ends = [c for c in consumers if (c, k) in self.x]
            if not ends or self.home[p] == k:
                continue
            enters = self.model.share.add()
            for c in ends:
                self._at_most([(1.0, self.x[c, k]), (-1.0, self._on(p, k)), (-1.0, enters)], 0.0)
            entering[k] = enters
            if counted:
                self.moved.append((volume, enters))
        if timed:
            self._staged(p, consumers, entering, times)

    def _staged(
        self, p: int, consumers: list[int], entering: dict[int, Any], times: FloatArray
    ) -> None:
        """Charge the copies in and out of a net to the compute streams at both ends."""
        host, off = self.cluster.host, times[times > 0]
        if len(off) and np.all(off == off[0]) and np.all(self.cluster.has_link):
            time = float(off[0])
            for k, enters in entering.items():
                if not host[k]:
                    self.busy.setdefault((0, k), []).append((time, enters))
            for a in self._sources(p):
                leaves = self.model.share.add()
                for c in consumers:
                    self._at_most([(1.0, self.x[p, a]), (-1.0, self._on(c, a)), (-1.0, leaves)], 0)
                self.busy.setdefault((0, a), []).append((time, leaves))
            return
        longest: dict[int, Any] = {a: self.model.amount.add() for a in self._sources(p)}
        for k, enters in entering.items():
            ways: list[Term] = []
            for a in range(self.problem.n_devices):
                if a == k or (p, a) not in self.x:
                    continue
                way = self.model.share.add()
                ways.append((-1.0, way))
                self._at_most([(1.0, way), (-1.0, self.x[p, a])], 0.0)
                time = float(times[a, k])
                if not host[k] and time > 0:
                    self.busy.setdefault((0, k), []).append((time, way))
                if a in longest:
                    self._at_most([(time, way), (-1.0, longest[a])], 0.0)
            self._at_most([(1.0, enters), *ways], 0.0)
        for a, amount in longest.items():
            self.busy.setdefault((0, a), []).append((1.0, amount))

    def _sources(self, p: int) -> Iterator[int]:
        """Devices a piece may run on that pay for what leaves them."""
        return (
            a
            for a in range(self.problem.n_devices)
            if (p, a) in self.x and not self.cluster.host[a]
        )

    def _links(self) -> None:
        """A consumer's device must be the producer's or have a link from it."""
        linked = self.cluster.has_link | np.eye(self.problem.n_devices, dtype=bool)
        if linked.all():
            return
        for net in range(self.pieces.n_nets):
            p = int(self.pieces.producer[net])
            for c in self._consumers(net):
                for k in range(self.problem.n_devices):
                    if (c, k) in self.x:
                        near: list[Term] = [
                            (-1.0, self._on(p, a)) for a in np.flatnonzero(linked[:, k]).tolist()
                        ]
                        self._at_most([(1.0, self.x[c, k]), *near], 0.0)

    def _memory(self) -> None:
        """State what each device holds at the end and while its neediest operator runs."""
        pieces = self.pieces
        for k in np.flatnonzero(np.isfinite(pieces.limit)).tolist():
            unit = max(float(pieces.limit[k]), 1e-300)
            held: list[Term] = []
            for g, size in enumerate((pieces.group_size / unit).tolist()):
                users = pieces.group_piece[pieces.group_ptr[g] : pieces.group_ptr[g + 1]].tolist()
                here = [self.x[u, k] for u in users if (u, k) in self.x]
                certain = [x for x in here if isinstance(x, int)]
                if certain or len(here) == 1:
                    held.append((size, (certain or here)[0]))
                elif here:
                    resident = self.model.share.add()
                    held.append((size, resident))
                    for x in here:
                        self._at_most([(1.0, x), (-1.0, resident)], 0.0)
            if np.any(pieces.need[:, k] > 0):
                total = self.model.amount.add()
                self._at_most([*held, (-1.0, total)], 0.0)
                for u in np.flatnonzero(pieces.need[:, k] > 0).tolist():
                    if (u, k) in self.x:
                        need = float(pieces.need[u, k]) / unit
                        self._at_most([(1.0, total), (need, self.x[u, k])], 1.0 + SLACK)
            kept = np.flatnonzero(pieces.kept > 0).tolist()
            outputs = [
                (float(pieces.kept[u]) / unit, self.x[u, k]) for u in kept if (u, k) in self.x
            ]
            self._at_most([*held, *outputs], 1.0 + SLACK)

    def _goal(self) -> None:
        question, goal = self.question, None
        if question.goal == "load":
            goal = self.model.amount.add()
            goal.setlb(question.least)
            if np.isfinite(question.load):
                goal.setub(question.load)
        for terms in self.busy.values():
            if goal is not None:
                self._at_most([*terms, (-1.0, goal)], 0.0)
            elif np.isfinite(question.load):
                self._at_most(terms, question.load * (1 + SLACK))
        if self.moved and np.isfinite(question.volume):
            self._at_most(self.moved, question.volume * (1 + SLACK))
        expression: Any = goal
        if goal is None:
            coefficients, variables = zip(*self.moved, strict=True) if self.moved else ((), ())
            expression = LinearExpression(
                constant=0, linear_coefs=list(coefficients), linear_vars=list(variables)
            )
        self.model.goal = pyo.Objective(expr=expression if expression is not None else 0.0)


def distinct(pieces: Pieces) -> np.ndarray:
    """Allowed devices, less those that an exchange of like devices makes superfluous.

    The j-th heaviest piece need use only the first j + 1 of interchangeable devices: whatever an
    assignment does, they can be renamed in the order in which the heaviest pieces use them.
    """
    keep = pieces.allowed.copy()
    for group in pieces.alike:
        users = [u for u in pieces.by_weight.tolist() if pieces.allowed[u, group].any()]
        for j, u in enumerate(users[: len(group)]):
            keep[u, group[j + 1 :]] = False
    return keep
