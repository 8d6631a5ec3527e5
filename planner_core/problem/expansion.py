"""The graph that a choice of alternatives makes: shards, exchanges, copies of tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from planner_core.problem.build import build_graph
from planner_core.problem.errors import InputError
from planner_core.problem.graph import KINDS, Graph
from planner_core.problem.problem import Problem

if TYPE_CHECKING:
    from planner_core.problem.alternatives import Alternative

Row = dict[str, Any]


class Expansion:
    """Writes the records of a problem with chosen alternatives.

    Parameters
    ----------
    problem : Problem
    chosen : mapping of operator id to Alternative
    """

    def __init__(self, problem: Problem, chosen: Mapping[str, Alternative]) -> None:
        self.problem, self.chosen = problem, chosen
        self.base = graph = problem.template
        self.ways = [chosen.get(str(name)) for name in graph.operator_ids]
        self.split_groups = {
            int(graph.colocation[o])
            for o, way in enumerate(self.ways)
            if way is not None and way.shards > 1
        }
        self.group_rows: dict[str, float] = {}

    def graph(self) -> Graph:
        """Return the expanded graph."""
        operators: list[Row] = []
        tensors: list[Row] = []
        for o in range(self.base.n_operators):
            self._add_operator(o, operators, tensors)
        for t in range(self.base.n_tensors):
            tensors += self._copies(t)
        groups = [{"id": name, "size": size} for name, size in self.group_rows.items()]
        return build_graph(operators, tensors, groups)

    def _shards(self, o: int) -> int:
        way = self.ways[o]
        return 1 if way is None else way.shards

    def _name(self, o: int, shard: int) -> str:
        name = str(self.base.operator_ids[o])
        return name if self._shards(o) == 1 else f"{name}/{shard}"

    def _source(self, o: int, shard: int) -> str:
        """Operator that has the complete result of a shard."""
        way = self.ways[o]
        sync = way is not None and way.exchanges
        return self._name(o, shard) + (":sync" if sync else "")

    def _add_operator(self, o: int, operators: list[Row], tensors: list[Row]) -> None:
        way, k = self.ways[o], self._shards(o)
        for shard in range(k):
            row = self._row(o, shard)
            operators.append(row)
            if way is None or not way.exchanges:
                continue
            sync = self._source(o, shard)
            operators.append(
                {
                    **row,
                    "id": sync,
                    "duration": way.collective,
                    "kind": "all_reduce",
                    "stream": way.exchange_stream,
                    "workspace": 0.0,
                    "parameters": [],
                }
            )
            # The exchange itself moves the data: reaching it costs no transfer.
            tensors.append(
                {
                    "id": f"{self._name(o, shard)}:partial",
                    "producer": self._name(o, shard),
                    "consumers": [self._source(o, other) for other in range(k)],
                    "transfer": 0.0,
                }
            )

    def _row(self, o: int, shard: int) -> Row:
        graph, way = self.base, self.ways[o]
        stage, micro_batch = int(graph.stage[o]), int(graph.micro_batch[o])
        devices = int(graph.device_set[o])
        duration: Any = float(graph.duration[o])
        workspace = float(graph.workspace[o])
        if way is not None:
            duration, workspace = way.duration, way.workspace
        elif np.isnan(duration):
            duration = {
                name: float(graph.duration_by_type[o, j])
                for j, name in enumerate(graph.type_names)
                if not np.isnan(graph.duration_by_type[o, j])
            }
        return {
            "id": self._name(o, shard),
            "duration": duration,
            "kind": KINDS[graph.kind[o]],
            "stage": None if stage < 0 else stage,
            "micro_batch": None if micro_batch < 0 else micro_batch,
            "stream": graph.stream_names[graph.stream[o]],
            "workspace": workspace,
            "devices": None if devices < 0 else graph.device_sets[devices],
            "colocate": self._colocate(o, shard),
            "parameters": self._groups(o, shard),
        }

    def _colocate(self, o: int, shard: int) -> str | None:
        group = int(self.base.colocation[o])
        if group >= 0:
            name = self.base.colocation_names[group]
            return f"{name}/{shard}" if group in self.split_groups else name
        way = self.ways[o]
        together = way is not None and (way.shards > 1 or way.exchanges)
        return self._name(o, shard) if together else None

    def _groups(self, o: int, shard: int) -> list[str]:
        names: list[str] = []
        for (group, way), size in held_sizes(self.base, o, self.ways[o]).items():
            name = group if way is None else f"{group}/{way}/{shard}"
            if self.group_rows.setdefault(name, size) != size:
                raise InputError(
                    f"operators that share parameter group '{group}' give its shard in "
                    f"alternative '{way}' different sizes; give one"
                )
            names.append(name)
        return names

    def _copies(self, t: int) -> list[Row]:
        """Return one copy of a tensor per shard of its producer, to the shards it serves."""
        graph = self.base
        producer = int(graph.producer[t])
        name, k = str(graph.tensor_ids[t]), self._shards(producer)
        way = self.ways[producer]
        size = float(graph.size[t]) if way is None else way.tensors.get(name, float(graph.size[t]))
        served: dict[int, list[tuple[int, int]]] = {shard: [] for shard in range(k)}
        for consumer in graph.consumers_of(t).tolist():
            parts = self._shards(consumer)
            for shard in range(parts):
                served[shard * k // parts].append((consumer, shard))
        rows: list[Row] = []
        for shard, consumers in served.items():
            ends = [way, *(self.ways[c] for c, _ in consumers)]
            extra = max(end.gather.get(name, 0.0) if end else 0.0 for end in ends)
            rows.append(
                {
                    "id": name if k == 1 else f"{name}/{shard}",
                    "producer": self._source(producer, shard),
                    "consumers": [self._name(c, s) for c, s in consumers],
                    "size": size,
                    "transfer": None
                    if np.isnan(graph.transfer[t])
                    else float(graph.transfer[t]) + extra,
                    "output": bool(graph.is_output[t]),
                }
            )
        return rows


def held_sizes(
    graph: Graph, operator: int, way: Alternative | None
) -> dict[tuple[str, str | None], float]:
    """Return what a shard holds: parameter group and way (None if the whole group) → size."""
    sizes: dict[tuple[str, str | None], float] = {}
    for g in graph.groups_of(operator).tolist():
        name, size = str(graph.group_ids[g]), float(graph.group_size[g])
        if way is not None and (way.shards > 1 or name in way.parameters):
            sizes[name, way.id] = way.parameters.get(name, size / way.shards)
        else:
            sizes[name, None] = size
    return sizes
