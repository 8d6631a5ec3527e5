"""The computational graph: operators, tensors and parameter groups as columns.

Operators are rows. Every column is a NumPy array indexed by operator (or tensor, or group)
number, adjacency is compressed sparse row (CSR), so a graph of a million operators fits in
memory; :class:`Operator` is a view of one row for people.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd

KINDS: tuple[str, ...] = (
    "forward",
    "backward_input",
    "backward_weight",
    "backward",
    "optimizer",
    "all_to_all",
    "all_reduce",
    "other",
)
"""Kinds of operators, in the order of their codes."""

KIND_CODE: dict[str, int] = {name: code for code, name in enumerate(KINDS)}

COMPUTE = "compute"
"""The stream every device has; stream code 0 in every graph."""

IntArray = NDArray[np.int32]
PtrArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Operator:
    """One operator, as a view for people; the graph's columns are the storage."""

    id: str
    kind: str
    stage: int | None
    micro_batch: int | None
    stream: str
    workspace: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Graph:
    """Operators (n), tensors (m) and parameter groups (g) as columns.

    Parameters
    ----------
    operator_ids : array of str, shape (n,)
    kind : int8 array, shape (n,)
        Index into :data:`KINDS`.
    duration : float array, shape (n,)
        Time on a device of speed 1; NaN where durations are given per device type.
    type_names : tuple of str
        Device types that operators give durations for.
    duration_by_type : float array, shape (n, len(type_names))
        Time on a device of that type; NaN where the operator does not name the type.
    stream, stream_names : int16 array of shape (n,), tuple of str
        Stream of each operator; ``stream_names[0]`` is always ``"compute"``.
    stage, micro_batch : int32 arrays, shape (n,)
        −1 where the operator has none.
    workspace : float array, shape (n,)
        Memory in use while the operator runs.
    colocation, colocation_names : int32 array of shape (n,), tuple of str
        Colocation group, −1 for none.
    device_set, device_sets : int32 array of shape (n,), tuple of tuples of str
        Which set of device ids the operator may run on; −1 for any device.
    parameter_ptr, parameter_index : CSR, n rows
        Parameter groups each operator uses.
    tensor_ids, producer, size, transfer, is_output : arrays, shape (m,)
        ``transfer`` is a fixed transfer time, NaN for latency + size / bandwidth.
    consumer_ptr, consumer : CSR, m rows
        Operators that consume each tensor.
    group_ids, group_size : arrays, shape (g,)
    """

    operator_ids: NDArray[np.object_]
    kind: NDArray[np.int8]
    duration: FloatArray
    type_names: tuple[str, ...]
    duration_by_type: FloatArray
    stream: NDArray[np.int16]
    stream_names: tuple[str, ...]
    stage: IntArray
    micro_batch: IntArray
    workspace: FloatArray
    colocation: IntArray
    colocation_names: tuple[str, ...]
    device_set: IntArray
    device_sets: tuple[tuple[str, ...], ...]
    parameter_ptr: PtrArray
    parameter_index: IntArray
    tensor_ids: NDArray[np.object_]
    producer: IntArray
    size: FloatArray
    transfer: FloatArray
    is_output: NDArray[np.bool_]
    consumer_ptr: PtrArray
    consumer: IntArray
    group_ids: NDArray[np.object_]
    group_size: FloatArray

    @property
    def n_operators(self) -> int:
        """Number of operators."""
        return len(self.operator_ids)

    @property
    def n_tensors(self) -> int:
        """Number of tensors."""
        return len(self.tensor_ids)

    @property
    def n_groups(self) -> int:
        """Number of parameter groups."""
        return len(self.group_ids)

    def operator(self, index: int) -> Operator:
        """Return the view of one operator."""
        stage, micro_batch = int(self.stage[index]), int(self.micro_batch[index])
        return Operator(
            id=str(self.operator_ids[index]),
            kind=KINDS[self.kind[index]],
            stage=None if stage < 0 else stage,
            micro_batch=None if micro_batch < 0 else micro_batch,
            stream=self.stream_names[self.stream[index]],
            workspace=float(self.workspace[index]),
        )

    @cached_property
    def operator_index(self) -> dict[str, int]:
        """Number of each operator by id."""
        return {str(name): i for i, name in enumerate(self.operator_ids)}

    @cached_property
    def tensor_index(self) -> dict[str, int]:
        """Number of each tensor by id."""
        return {str(name): i for i, name in enumerate(self.tensor_ids)}

    def consumers_of(self, tensor: int) -> IntArray:
        """Operators that consume a tensor."""
        return self.consumer[self.consumer_ptr[tensor] : self.consumer_ptr[tensor + 1]]

    def groups_of(self, operator: int) -> IntArray:
        """Parameter groups an operator uses."""
        return self.parameter_index[self.parameter_ptr[operator] : self.parameter_ptr[operator + 1]]

    @cached_property
    def edge_tensor(self) -> IntArray:
        """Tensor of every (tensor, consumer) edge, in CSR order; shape (e,)."""
        counts = np.diff(self.consumer_ptr)
        return np.repeat(np.arange(self.n_tensors, dtype=np.int32), counts)

    @property
    def edge_source(self) -> IntArray:
        """Producer of every edge; shape (e,)."""
        return self.producer[self.edge_tensor]

    @property
    def edge_target(self) -> IntArray:
        """Consumer of every edge; shape (e,)."""
        return self.consumer

    @cached_property
    def out_edges(self) -> tuple[PtrArray, IntArray]:
        """Edges leaving each operator as CSR (ptr, edge numbers)."""
        return csr_from_rows(self.edge_source, self.n_operators)

    @cached_property
    def in_edges(self) -> tuple[PtrArray, IntArray]:
        """Edges entering each operator as CSR (ptr, edge numbers)."""
        return csr_from_rows(self.edge_target, self.n_operators)

    @cached_property
    def tensors_of(self) -> tuple[PtrArray, IntArray]:
        """Tensors each operator produces as CSR (ptr, tensor numbers)."""
        return csr_from_rows(self.producer, self.n_operators)

    @cached_property
    def topological_order(self) -> IntArray:
        """Operators so that producers precede consumers; shorter than n if there is a cycle."""
        ptr, edges = self.out_edges
        targets = self.edge_target[edges].tolist()
        starts = ptr.tolist()
        waiting = np.bincount(self.edge_target, minlength=self.n_operators).tolist()
        order = [o for o in range(self.n_operators) if waiting[o] == 0]
        for o in order:
            for target in targets[starts[o] : starts[o + 1]]:
                waiting[target] -= 1
                if waiting[target] == 0:
                    order.append(target)
        return np.array(order, dtype=np.int32)

    def find_cycle(self) -> list[int] | None:
        """Return the operators of one cycle in order, or None if the graph has none."""
        order = self.topological_order
        if len(order) == self.n_operators:
            return None
        done = np.zeros(self.n_operators, dtype=bool)
        done[order] = True
        ptr, edges = self.in_edges
        node = int(np.flatnonzero(~done)[0])
        position: dict[int, int] = {}
        path: list[int] = []
        # Every operator left over has a predecessor left over, so walking back must repeat.
        while node not in position:
            position[node] = len(path)
            path.append(node)
            sources = self.edge_source[edges[ptr[node] : ptr[node + 1]]]
            node = int(sources[~done[sources]][0])
        return path[position[node] :][::-1]

    def repeat(self, micro_batches: int) -> Graph:
        """Return this template unrolled over micro-batches.

        Operator ``F0`` of micro-batch 3 becomes ``F0@3``; parameter and colocation groups are
        shared by all micro-batches. With one micro-batch the graph is returned as it is.
        """
        if micro_batches == 1:
            return self
        m, n = micro_batches, self.n_operators

        def names(ids: NDArray[np.object_]) -> NDArray[np.object_]:
            return np.array([f"{name}@{i}" for i in range(m) for name in ids], dtype=object)

        def shifted(column: IntArray, step: int) -> IntArray:
            offsets = np.repeat(np.arange(m, dtype=np.int32) * step, len(column))
            return np.tile(column, m) + offsets

        return replace(
            self,
            operator_ids=names(self.operator_ids),
            kind=np.tile(self.kind, m),
            duration=np.tile(self.duration, m),
            duration_by_type=np.tile(self.duration_by_type, (m, 1)),
            stream=np.tile(self.stream, m),
            stage=np.tile(self.stage, m),
            micro_batch=np.repeat(np.arange(m, dtype=np.int32), n),
            workspace=np.tile(self.workspace, m),
            colocation=np.tile(self.colocation, m),
            device_set=np.tile(self.device_set, m),
            parameter_ptr=_tile_ptr(self.parameter_ptr, m),
            parameter_index=np.tile(self.parameter_index, m),
            tensor_ids=names(self.tensor_ids),
            producer=shifted(self.producer, n),
            size=np.tile(self.size, m),
            transfer=np.tile(self.transfer, m),
            is_output=np.tile(self.is_output, m),
            consumer_ptr=_tile_ptr(self.consumer_ptr, m),
            consumer=shifted(self.consumer, n),
        )

    def operators_frame(self) -> pd.DataFrame:
        """Return the operators as a table, one row each (for editors and screens)."""
        import pandas as pd

        return pd.DataFrame(
            {
                "id": self.operator_ids,
                "kind": [KINDS[k] for k in self.kind],
                "duration": self.duration,
                **{
                    f"duration {name}": self.duration_by_type[:, j]
                    for j, name in enumerate(self.type_names)
                },
                "stage": pd.Series(self.stage, dtype="Int64").mask(self.stage < 0),
                "micro_batch": pd.Series(self.micro_batch, dtype="Int64").mask(
                    self.micro_batch < 0
                ),
                "stream": [self.stream_names[s] for s in self.stream],
                "workspace": self.workspace,
            }
        )

    def tensors_frame(self) -> pd.DataFrame:
        """Return the tensors as a table, one row each."""
        import pandas as pd

        return pd.DataFrame(
            {
                "id": self.tensor_ids,
                "producer": self.operator_ids[self.producer],
                "consumers": [
                    ", ".join(self.operator_ids[self.consumers_of(t)])
                    for t in range(self.n_tensors)
                ],
                "size": self.size,
                "output": self.is_output,
            }
        )

    def to_networkx(self) -> nx.MultiDiGraph:
        """Return the operators and edges as a networkx graph (for small graphs)."""
        import networkx as nx

        graph = nx.MultiDiGraph()
        for o in self:
            graph.add_node(o.id, kind=o.kind, stage=o.stage, micro_batch=o.micro_batch)
        for t, source, target in zip(
            self.edge_tensor, self.edge_source, self.edge_target, strict=True
        ):
            graph.add_edge(
                self.operator_ids[source],
                self.operator_ids[target],
                key=self.tensor_ids[t],
                size=float(self.size[t]),
            )
        return graph

    def __iter__(self) -> Iterator[Operator]:
        return (self.operator(i) for i in range(self.n_operators))


def csr_from_rows(rows: NDArray[np.integer[Any]], n_rows: int) -> tuple[PtrArray, IntArray]:
    """Group the positions of ``rows`` by value: CSR (ptr of shape (n_rows + 1,), positions)."""
    ptr = np.zeros(n_rows + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=n_rows), out=ptr[1:])
    return ptr, np.argsort(rows, kind="stable").astype(np.int32)


def _tile_ptr(ptr: PtrArray, times: int) -> PtrArray:
    return np.concatenate([[0], np.cumsum(np.tile(np.diff(ptr), times))]).astype(np.int64)
