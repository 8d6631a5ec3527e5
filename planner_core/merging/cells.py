"""A placed pipeline with every cell merged into one operator, and the way back.

A cell is what a stage runs of one pass of one micro-batch. Searching over cells is searching
over pipeline schedules; the operators' own times follow from the order of the cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from planner_core.problem import COMPUTE, InputError, Problem, build_graph
from planner_core.problem.graph import IntArray
from planner_core.problem.pipeline import PHASES, TAIL, PipelineView
from planner_core.schedule import Schedule, simulate

_LETTERS = ("F", "I", "W", "B", "end")


@dataclass(frozen=True, eq=False, kw_only=True)
class Cells:
    """A placed pipeline seen as cells.

    Parameters
    ----------
    full : Problem
        The pipeline, every operator on one device.
    problem : Problem
        One operator per cell, with the cell's work, parameters and tensors. Its schedules are
        on the safe side: what leaves a cell leaves at its end, what a cell needs it needs from
        its start, and its operators run one after the other even where streams overlap.
    members : list of tuples of int
        Operators of every cell, in topological order.
    """

    full: Problem
    problem: Problem
    members: list[tuple[int, ...]]

    @classmethod
    def of(cls, full: Problem) -> Cells:
        """Merge the cells of a placed pipeline.

        Raises
        ------
        NotApplicable
            If the problem is no pipeline, see :class:`PipelineView`.
        InputError
            If an operator is not placed, or a cell lies on several devices.
        """
        if not full.is_placed:
            raise InputError("only placed pipelines have cells; place every operator")
        view = PipelineView.of(full)
        names: list[str] = []
        members: list[tuple[int, ...]] = []
        m = view.n_micro_batches
        for phase, cells in enumerate((*view.cells, view.tails)):
            for c, cell in enumerate(cells):
                stage, micro_batch = (c, -1) if phase == TAIL else divmod(c, m)
                if cell:
                    suffix = "" if phase == TAIL else f"@{micro_batch}"
                    names.append(f"{_LETTERS[phase]}{stage}{suffix}")
                    members.append(cell)
                    if len(set(full.fixed_device[list(cell)].tolist())) > 1:
                        raise InputError(f"cell {names[-1]} lies on several devices")
        writer = _Writer(full, view, names, members)
        graph = full.graph
        groups = [
            {"id": name, "size": float(size)}
            for name, size in zip(graph.group_ids, graph.group_size, strict=True)
        ]
        template = build_graph(writer.operators(), writer.tensors(), groups)
        problem = Problem(
            template=template,
            cluster=full.cluster,
            name=f"{full.name}, cells",
            time_unit=full.time_unit,
            memory_unit=full.memory_unit,
        )
        return cls(full=full, problem=problem, members=members)

    def expand(self, schedule: Schedule) -> Schedule:
        """Run every operator as early as the order of its cells allows.

        Parameters
        ----------
        schedule : Schedule
            Of :attr:`problem`.

        Returns
        -------
        Schedule
            Of :attr:`full`; to be validated, since exact times may hold memory otherwise.
        """
        order: list[list[int]] = [[] for _ in range(self.full.n_devices)]
        for c in np.lexsort((schedule.finish, schedule.start)).tolist():
            order[schedule.device[c]].extend(self.members[c])
        return simulate(self.full, self.full.fixed_device, order)


class _Writer:
    """Writes the records of the merged graph."""

    def __init__(
        self, full: Problem, view: PipelineView, names: list[str], members: list[tuple[int, ...]]
    ) -> None:
        self.full, self.view, self.names, self.members = full, view, names, members
        self.cell: IntArray = np.empty(full.graph.n_operators, dtype=np.int32)
        for c, cell in enumerate(members):
            self.cell[list(cell)] = c
        self.consumers: list[tuple[int, ...]] = []
        graph = full.graph
        for a, b in pairwise(graph.consumer_ptr.tolist()):
            self.consumers.append(tuple(sorted(set(self.cell[graph.consumer[a:b]].tolist()))))

    def operators(self) -> list[dict[str, Any]]:
        """Return one record per cell."""
        graph, device = self.full.graph, self.full.fixed_device
        own = self.full.durations[np.arange(graph.n_operators), device]
        rows = []
        for name, cell in zip(self.names, self.members, strict=True):
            first = cell[0]
            k = int(device[first])
            phase = int(self.view.phase[first])
            micro_batch = int(self.view.micro_batch[first])
            used = {int(g): None for o in cell for g in graph.groups_of(o)}
            rows.append(
                {
                    "id": name,
                    # Durations count at speed 1, whatever the device's is.
                    "duration": float(own[list(cell)].sum() * self.full.cluster.speed[k]),
                    "kind": "optimizer" if phase == TAIL else PHASES[phase],
                    "stage": int(self.view.stage[first]),
                    "micro_batch": None if micro_batch < 0 else micro_batch,
                    "stream": COMPUTE,
                    "workspace": self._workspace(cell),
                    "devices": [self.full.cluster.device_ids[k]],
                    "parameters": [graph.group_ids[g] for g in used],
                }
            )
        return rows

    def _workspace(self, cell: tuple[int, ...]) -> float:
        """Most memory a cell takes beside what enters and leaves it."""
        graph = self.full.graph
        ptr, tensors = graph.tensors_of
        here = (int(self.cell[cell[0]]),)
        position = {o: i for i, o in enumerate(cell)}
        change = np.zeros(len(cell) + 1)
        for i, o in enumerate(cell):
            for t in tensors[ptr[o] : ptr[o + 1]].tolist():
                last = i
                if self.consumers[t] == here:
                    last = max(position[c] for c in graph.consumers_of(t).tolist())
                elif self.consumers[t] or graph.is_output[t]:
                    continue
                change[i] += graph.size[t]
                change[last + 1] -= graph.size[t]
        return float(np.max(np.cumsum(change)[:-1] + graph.workspace[list(cell)]))

    def tensors(self) -> list[dict[str, Any]]:
        """Return one record per pair of a producing cell and a set of consuming cells."""
        graph = self.full.graph
        merged: dict[tuple[int, tuple[int, ...]], list[int]] = {}
        for t, consumers in enumerate(self.consumers):
            producer = int(self.cell[graph.producer[t]])
            outside = tuple(c for c in consumers if c != producer)
            if outside or graph.is_output[t]:
                merged.setdefault((producer, outside), []).append(t)
        rows = []
        for (producer, consumers), members in merged.items():
            fixed = graph.transfer[members]
            rows.append(
                {
                    "id": f"{self.names[producer]} to "
                    + ", ".join(self.names[c] for c in consumers),
                    "producer": self.names[producer],
                    "consumers": [self.names[c] for c in consumers],
                    "size": float(graph.size[members].sum()),
                    "transfer": None if np.isnan(fixed).any() else float(fixed.max()),
                    "output": bool(graph.is_output[members].any()),
                }
            )
        return rows
