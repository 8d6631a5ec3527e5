"""The time-indexed step formulation with free placement, as a Pyomo model.

``z[o, k, t]`` says "operator o has started on device k by slot t"; its value at the last slot
is the assignment. Transfers on exclusive links and staged copies have steps of their own.
Precedence is stated once over all devices and once per receiving device; together they are
much stronger than either (arXiv 2503.09357 states it with big-M rows instead).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyomo.environ as pyo

from planner_core.milp.free_grid import FreeGrid
from planner_core.milp.steps import Step, StepModel, Term
from planner_core.problem.graph import FloatArray, IntArray
from planner_core.schedule import Tasks, compile_tasks


@dataclass(frozen=True, eq=False)
class FreeModel:
    """A step formulation with free placement and how to read its solutions."""

    model: pyo.ConcreteModel
    grid: FreeGrid
    start: dict[tuple[int, int], Step]
    """Step of operator o on device k."""
    assigned: dict[tuple[int, int], Any]
    """Whether operator o is assigned to device k: 1 or a variable."""
    column: dict[int, int]
    """Column of each assignment variable, by ``id``."""
    copies: dict[tuple[int, int, int], Step]
    """(tensor, source, target) on exclusive links; staged: target −1 out, source −1 in."""

    def solution(self, values: np.ndarray) -> tuple[Tasks, FloatArray]:
        """Tasks on the chosen devices and the start time of each on the grid."""
        problem, slot = self.grid.problem, self.grid.slot
        n = problem.graph.n_operators
        device: IntArray = np.zeros(n, dtype=np.int32)
        begin = np.zeros(n)
        for (o, k), step in self.start.items():
            chosen = self.assigned[o, k]
            if isinstance(chosen, int) or values[self.column[id(chosen)]] > 0.5:
                device[o], begin[o] = k, step.begin(values) * slot
        tasks = compile_tasks(problem, device)
        start = np.zeros(tasks.n_tasks)
        start[:n] = begin
        for t, a, b, first, last in zip(
            tasks.transfer_tensor.tolist(),
            tasks.transfer_source.tolist(),
            tasks.transfer_target.tolist(),
            tasks.transfer_first.tolist(),
            tasks.transfer_last.tolist(),
            strict=True,
        ):
            if first < 0:
                continue
            if not problem.cluster.staged:
                start[first] = self.copies[t, a, b].begin(values) * slot
                continue
            if not problem.cluster.host[a]:
                start[first] = self.copies[t, a, -1].begin(values) * slot
            if not problem.cluster.host[b]:
                start[last] = self.copies[t, -1, b].begin(values) * slot
        return tasks, start


def free_placement_model(
    grid: FreeGrid, horizon: int, stopped: Callable[[], bool] = lambda: False
) -> FreeModel | None:
    """Build the model "is there a schedule within the horizon?"; None if a window is empty.

    Raises
    ------
    BuildStopped
        Once ``stopped`` says so.
    """
    early, late = grid.windows(horizon)
    if np.any((early > late).all(axis=1)):
        return None
    return _Build(grid, horizon, early, late, StepModel(stopped)).finish()


class _Build:
    def __init__(
        self, grid: FreeGrid, horizon: int, early: IntArray, late: IntArray, steps: StepModel
    ) -> None:
        self.grid, self.horizon = grid, horizon
        self.problem, self.graph = grid.problem, grid.problem.graph
        self.cluster = grid.problem.cluster
        self.early, self.late = early, late
        self.steps = steps
        self.start: dict[tuple[int, int], Step] = {}
        self.assigned: dict[tuple[int, int], Any] = {}
        self.column: dict[int, int] = {}
        self.copies: dict[tuple[int, int, int], Step] = {}
        self.devices = [
            np.flatnonzero(early[o] <= late[o]).tolist() for o in range(self.graph.n_operators)
        ]

    def finish(self) -> FreeModel:
        for o in range(self.graph.n_operators):
            self.operator(o)
        self.colocation()
        for t in range(self.graph.n_tensors):
            self.add_copies(t)
        for t in range(self.graph.n_tensors):
            for p in self.graph.consumers_of(t).tolist():
                self.precedence(t, p)
        self.capacity()
        self.memory()
        return FreeModel(
            self.steps.finish(), self.grid, self.start, self.assigned, self.column, self.copies
        )

    def ever(self) -> Any:
        """A binary that may stay 0, whose column is remembered."""
        column = self.steps.columns
        variable = self.steps.binary()
        self.column[id(variable)] = column
        return variable

    def operator(self, o: int) -> None:
        devices = self.devices[o]
        for k in devices:
            end = 1 if len(devices) == 1 else self.ever()
            self.assigned[o, k] = end
            self.start[o, k] = Step(self.steps, int(self.early[o, k]), int(self.late[o, k]), end)
        if len(devices) > 1:
            terms: list[Term] = [(1.0, self.assigned[o, k]) for k in devices]
            self.steps.at_most(terms, 1.0)
            self.steps.at_most([(-c, x) for c, x in terms], -1.0)

    def begun(self, o: int, k: int, t: int) -> Any:
        """z[o, k, t]; 0 on a device the operator cannot use."""
        step = self.start.get((o, k))
        return 0 if step is None else step.by(t)

    def on(self, o: int, k: int) -> Any:
        """Whether o is assigned to k."""
        return self.assigned.get((o, k), 0)

    def colocation(self) -> None:
        first: dict[int, int] = {}
        for o in np.flatnonzero(self.graph.colocation >= 0).tolist():
            other = first.setdefault(int(self.graph.colocation[o]), o)
            if other == o:
                continue
            for k in range(self.problem.n_devices):
                mine, its = self.on(o, k), self.on(other, k)
                self.steps.at_most([(1.0, mine), (-1.0, its)], 0.0)
                self.steps.at_most([(-1.0, mine), (1.0, its)], 0.0)

    # Transfers ------------------------------------------------------------------------------

    def remote_pairs(self, t: int) -> list[tuple[int, int]]:
        """(source, target) device pairs a tensor may travel between."""
        producer = int(self.graph.producer[t])
        targets = sorted({k for p in self.graph.consumers_of(t).tolist() for k in self.devices[p]})
        return [
            (a, b)
            for a in self.devices[producer]
            for b in targets
            if a != b and self.cluster.has_link[a, b]
        ]

    def add_copies(self, t: int) -> None:
        """Steps of the transfers of a tensor that occupy something."""
        producer = int(self.graph.producer[t])
        pairs = self.remote_pairs(t)
        if self.cluster.staged:
            self.staged_copies(t, producer, pairs)
            return
        for a, b in pairs:
            if self.cluster.exclusive[a, b]:
                length = self.grid.copy_slots(t, a, b)
                step = self.copy((t, a, b), producer, [a], length)
                self.after_producer(step, producer, [a])

    def copy(
        self, key: tuple[int, int, int], producer: int, sources: list[int], length: int
    ) -> Step:
        first = min(int(self.early[producer, a] + self.grid.duration[producer, a]) for a in sources)
        step = Step(self.steps, first, max(first, self.horizon - length), self.ever())
        self.copies[key] = step
        return step

    def after_producer(self, step: Step, producer: int, sources: list[int]) -> None:
        """The copy begins no earlier than the producer has finished on one of the sources."""
        for t in range(step.first, step.last + 1):
            done: list[Term] = [
                (-1.0, self.begun(producer, a, t - int(self.grid.duration[producer, a])))
                for a in sources
            ]
            self.steps.at_most([(1.0, step.by(t)), *done], 0.0)

    def send_slots(self, t: int, a: int) -> int:
        """Slots of a staged copy out: that of the slowest receiver."""
        return max(self.grid.copy_slots(t, a, b) for s, b in self.remote_pairs(t) if s == a)

    def staged_copies(self, t: int, producer: int, pairs: list[tuple[int, int]]) -> None:
        host = self.cluster.host
        for a in sorted({a for a, _ in pairs if not host[a]}):
            step = self.copy((t, a, -1), producer, [a], self.send_slots(t, a))
            self.after_producer(step, producer, [a])
        for b in sorted({b for _, b in pairs if not host[b]}):
            sources = [a for a, target in pairs if target == b]
            length = max(self.grid.copy_slots(t, a, b) for a in sources)
            step = self.copy((t, -1, b), producer, sources, length)
            for tau in range(step.first, step.last + 1):
                self.steps.at_most(
                    [(1.0, step.by(tau)), *((-1.0, z) for z in self.left(t, sources, tau))], 0.0
                )

    def left(self, t: int, sources: list[int], tau: int) -> list[Any]:
        """Terms whose sum says: a staged tensor has left its producer's device by slot tau."""
        producer = int(self.graph.producer[t])
        terms = []
        for a in sources:
            if self.cluster.host[a]:
                length = int(self.grid.duration[producer, a])
                terms.append(self.begun(producer, a, tau - length))
            else:
                terms.append(self.copies[t, a, -1].by(tau - self.send_slots(t, a)))
        return terms

    def arrived(self, t: int, a: int, b: int, tau: int) -> Any:
        """Whether a tensor made on a has arrived on b by slot tau (a staged one: from anywhere)."""
        producer = int(self.graph.producer[t])
        if not self.cluster.has_link[a, b]:
            return 0
        if self.cluster.staged and a != b:
            if self.cluster.host[b]:
                return self.left(t, [a], tau)[0]
            step = self.copies[t, -1, b]
            sources = [s for s, target in self.remote_pairs(t) if target == b]
            return step.by(tau - max(self.grid.copy_slots(t, s, b) for s in sources))
        if a != b and self.cluster.exclusive[a, b]:
            return self.copies[t, a, b].by(tau - self.grid.copy_slots(t, a, b))
        return self.begun(producer, a, tau - self.grid.lag(t, a, b))

    def arrivals(self, t: int, b: int, tau: int) -> list[Any]:
        """Terms whose sum says: tensor t is on device b by slot tau."""
        devices = self.devices[int(self.graph.producer[t])]
        local = [self.arrived(t, b, b, tau)] if b in devices else []
        remote = [a for a in devices if a != b and self.cluster.has_link[a, b]]
        if self.cluster.staged and not self.cluster.host[b] and remote:
            return [*local, self.arrived(t, remote[0], b, tau)]
        return [*local, *(self.arrived(t, a, b, tau) for a in remote)]

    def precedence(self, t: int, p: int) -> None:
        producer, grid = int(self.graph.producer[t]), self.grid
        for k in self.devices[p]:
            step = self.start[p, k]
            for tau in range(step.first, step.last + 1):
                there: list[Term] = [(-1.0, z) for z in self.arrivals(t, k, tau)]
                self.steps.at_most([(1.0, step.by(tau)), *there], 0.0)
        first = min(self.start[p, k].first for k in self.devices[p])
        last = max(self.start[p, k].last for k in self.devices[p])
        for tau in range(first, last + 1):
            done: list[Term] = [
                (-1.0, self.begun(producer, a, tau - int(grid.duration[producer, a])))
                for a in self.devices[producer]
            ]
            self.steps.at_most(
                [*((1.0, self.begun(p, k, tau)) for k in self.devices[p]), *done], 0.0
            )

    # Resources ------------------------------------------------------------------------------

    def capacity(self) -> None:
        """One at a time on every stream and every exclusive link."""
        users: dict[tuple[int, ...], list[tuple[Step, int]]] = {}
        for (o, k), step in self.start.items():
            length = int(self.grid.duration[o, k])
            if length:
                users.setdefault((k, int(self.graph.stream[o])), []).append((step, length))
        resource: tuple[int, ...]
        for (t, a, b), step in self.copies.items():
            if b < 0:
                resource, length = (a, 0), self.send_slots(t, a)
            elif a < 0:
                sources = [s for s, target in self.remote_pairs(t) if target == b]
                resource = (b, 0)
                length = max(self.grid.copy_slots(t, s, b) for s in sources)
            else:
                resource, length = (a, b, -1), self.grid.copy_slots(t, a, b)
            if length:
                users.setdefault(resource, []).append((step, length))
        for row in users.values():
            if len(row) < 2:
                continue
            for tau in range(self.horizon):
                terms: list[Term] = []
                for step, length in row:
                    if step.first <= tau < step.last + length:
                        terms += [(1.0, step.by(tau)), (-1.0, step.by(tau - length))]
                self.steps.at_most(terms, 1.0)

    # Memory ---------------------------------------------------------------------------------

    def memory(self) -> None:
        graph = self.graph
        everything = graph.size.sum() + graph.workspace.sum() + graph.group_size.sum()
        for k in np.flatnonzero(self.cluster.memory < everything).tolist():
            resident = self.resident(k)
            for tau in range(self.horizon):
                terms = list(resident)
                for t in np.flatnonzero(graph.size > 0).tolist():
                    held = self.held(t, k, tau)
                    if held is not None:
                        terms.append((float(graph.size[t]), held))
                for o in np.flatnonzero(graph.workspace > 0).tolist():
                    length = int(self.grid.duration[o, k])
                    size = float(graph.workspace[o])
                    terms.append((size, self.begun(o, k, tau)))
                    terms.append((-size, self.begun(o, k, tau - length)))
                self.steps.at_most(terms, float(self.cluster.memory[k]))

    def resident(self, k: int) -> list[Term]:
        """Parameter groups on device k: a group is there if any of its operators is."""
        graph = self.graph
        users: dict[int, list[int]] = {}
        for o in range(graph.n_operators):
            if k in self.devices[o]:
                for g in graph.groups_of(o).tolist():
                    users.setdefault(g, []).append(o)
        terms: list[Term] = []
        for g, operators in users.items():
            if graph.group_size[g] <= 0:
                continue
            there = self.steps.share()
            for o in operators:
                self.steps.at_most([(1.0, self.on(o, k)), (-1.0, there)], 0.0)
            terms.append((float(graph.group_size[g]), there))
        return terms

    def held(self, t: int, k: int, tau: int) -> Any:
        """A variable that is 1 if tensor t takes memory on device k in slot tau."""
        producer = int(self.graph.producer[t])
        consumers = self.graph.consumers_of(t).tolist()
        rows: list[tuple[list[Term], float]] = []
        begun = self.begun(producer, k, tau)
        if not (isinstance(begun, int) and begun == 0):
            length = int(self.grid.duration[producer, k])
            ends = [] if self.graph.is_output[t] else [self.begun(producer, k, tau - length)]
            rows.append(([(1.0, begun), *((-1.0, z) for z in ends)], 0.0))
            for p in () if self.graph.is_output[t] else consumers:
                for b in self.devices[p]:
                    if b == k:
                        over = self.begun(p, k, tau - int(self.grid.duration[p, k]))
                    elif self.cluster.has_link[k, b]:
                        over = self.arrived(t, k, b, tau)
                    else:
                        continue
                    rows.append(([(1.0, begun), (1.0, self.on(p, b)), (-1.0, over)], 1.0))
        incoming = self.incoming(t, k, tau)
        if incoming:
            for p in consumers:
                if k in self.devices[p]:
                    over = self.begun(p, k, tau - int(self.grid.duration[p, k]))
                    rows.append(([*incoming, (1.0, self.on(p, k)), (-1.0, over)], 1.0))
        rows = [row for row in rows if self.steps.can_break(*row)]
        if not rows:
            return None
        variable = self.steps.share()
        for terms, limit in rows:
            self.steps.at_most([*terms, (-1.0, variable)], limit)
        return variable

    def incoming(self, t: int, k: int, tau: int) -> list[Term]:
        """Terms whose sum says: a transfer of t to device k has begun by slot tau."""
        producer = int(self.graph.producer[t])
        terms: list[Term] = []
        for a, target in self.remote_pairs(t):
            if target != k:
                continue
            if self.cluster.staged and not self.cluster.host[a]:
                terms.append((1.0, self.copies[t, a, -1].by(tau)))
            elif self.cluster.staged and not self.cluster.host[k]:
                # The copy in has one step for all sources: it may stand for only one of them.
                if a == min(s for s, b in self.remote_pairs(t) if b == k and self.cluster.host[s]):
                    terms.append((1.0, self.copies[t, -1, k].by(tau)))
            elif self.cluster.exclusive[a, k] and not self.cluster.staged:
                terms.append((1.0, self.copies[t, a, k].by(tau)))
            else:
                length = int(self.grid.duration_down[producer, a])
                terms.append((1.0, self.begun(producer, a, tau - length)))
        return terms
