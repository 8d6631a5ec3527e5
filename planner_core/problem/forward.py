"""Forward graphs with what their backward pass needs, and a builder that costs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner_core.problem.build import build_graph
from planner_core.problem.checks import check_problem
from planner_core.problem.cluster import Cluster
from planner_core.problem.errors import InputError
from planner_core.problem.graph import COMPUTE, KIND_CODE, FloatArray
from planner_core.problem.hardware import MIB, CostModel, known_types, model_state_bytes
from planner_core.problem.problem import Problem


@dataclass(frozen=True, eq=False, kw_only=True)
class Forward:
    """A forward graph (n operators) and what a training graph is made from.

    Parameters
    ----------
    problem : Problem
        The forward pass alone; weights as they are held for inference.
    flops : float array, shape (n,)
        Of one micro-batch.
    backward_input, backward_weight : float arrays, shape (n,)
        Time of the operator's input- and weight-backward over its forward time; a weight part
        of 0 means the operator has no weights.
    saved_input, saved_weight : float arrays, shape (n,)
        What the operator saves for either part, in the problem's memory unit.
    block : array of str, shape (n,)
        Unit of recomputation (a layer, say); "" for operators outside any.
    """

    problem: Problem
    flops: FloatArray
    backward_input: FloatArray
    backward_weight: FloatArray
    saved_input: FloatArray
    saved_weight: FloatArray
    block: NDArray[np.object_]

    @classmethod
    def of(
        cls, problem: Problem, backward_input: float = 1.0, backward_weight: float = 1.0
    ) -> Forward:
        """Assume what a graph without costs leaves open.

        Every operator's input part takes ``backward_input`` times its forward, an operator with
        parameter groups has a weight part of ``backward_weight`` times its forward, and it saves
        the tensors it consumes, each saved once, by its first consumer (whose backward is the
        last to need it). The stage is the unit of recomputation.

        Raises
        ------
        InputError
            If the graph has operators of a backward pass already.
        """
        graph = problem.template
        backward = [KIND_CODE[k] for k in ("backward_input", "backward_weight", "backward")]
        done = np.flatnonzero(np.isin(graph.kind, backward))
        if len(done):
            raise InputError(
                f"operator '{graph.operator_ids[done[0]]}' is of a backward pass already; "
                "give the forward graph alone"
            )
        n = graph.n_operators
        collective = (graph.kind == KIND_CODE["all_to_all"]) | (
            graph.kind == KIND_CODE["all_reduce"]
        )
        weighted = (np.diff(graph.parameter_ptr) > 0) & ~collective
        rank = np.empty(n, dtype=np.int64)
        rank[graph.topological_order] = np.arange(len(graph.topological_order))
        saved = np.zeros(n)
        for t in range(graph.n_tensors):
            consumers = graph.consumers_of(t)
            consumers = consumers[~collective[consumers]]
            if len(consumers):
                saved[consumers[np.argmin(rank[consumers])]] += graph.size[t]
        stage = graph.stage
        return cls(
            problem=problem,
            flops=np.zeros(n),
            backward_input=np.where(collective, 1.0, float(backward_input)),
            backward_weight=np.where(weighted, float(backward_weight), 0.0),
            saved_input=np.where(weighted, 0.0, saved),
            saved_weight=np.where(weighted, saved, 0.0),
            block=np.array(["" if s < 0 else f"stage {s}" for s in stage], dtype=object),
        )


class ForwardBuilder:
    """Collects operators with their work and turns them into a :class:`Forward`.

    Parameters
    ----------
    cluster : Cluster
        Its device types must be presets; durations are computed for each.
    cost : CostModel, optional

    Notes
    -----
    Work is given per micro-batch in FLOPs and bytes; the result counts in ms and MiB. Weights
    take 2 bytes per parameter (BF16).
    """

    def __init__(self, cluster: Cluster, cost: CostModel | None = None) -> None:
        self.cluster = cluster
        self.cost = cost or CostModel()
        self._types = known_types(cluster)
        self._operators: list[dict[str, Any]] = []
        self._tensors: dict[str, dict[str, Any]] = {}
        self._bytes: dict[str, float] = {}
        self._parameters: dict[str, float] = {}
        self._columns: list[tuple[float, float, float, float, float, str]] = []

    def add(
        self,
        name: str,
        inputs: Sequence[str] = (),
        output: float | Mapping[str, float] = 0.0,
        *,
        flops: float = 0.0,
        moved: float | None = None,
        duration: float | None = None,
        parameters: Mapping[str, float] | None = None,
        backward_input: float = 1.0,
        backward_weight: float = 1.0,
        saved_input: float = 0.0,
        saved_weight: float = 0.0,
        kind: str = "forward",
        stream: str = COMPUTE,
        stage: int | None = None,
        block: str = "",
    ) -> str:
        """Add an operator and return its name, which is also its tensor's.

        Parameters
        ----------
        name : str
        inputs : sequence of str
            Names of tensors produced so far; the same one twice counts once.
        output : float or mapping
            Bytes of the one tensor it produces, or bytes by tensor name.
        flops : float
        moved : float, optional
            Bytes read and written; default inputs + outputs + weights.
        duration : float, optional
            Milliseconds, in place of the roofline (collectives).
        parameters : mapping of str to float, optional
            Parameter groups and their number of parameters.
        backward_input, backward_weight : float
            Time of the two backward parts over the forward's.
        saved_input, saved_weight : float
            Bytes saved for either part.
        kind, stream, stage, block
            As in the problem; ``block`` is the unit of recomputation.
        """
        outputs = dict(output) if isinstance(output, Mapping) else {name: float(output)}
        used = dict.fromkeys(inputs)
        groups = parameters or {}
        for group, count in groups.items():
            self._parameters[group] = float(count)
        if moved is None:
            moved = sum(self._bytes[t] for t in used) + sum(outputs.values())
            moved += sum(model_state_bytes(c, training=False) for c in groups.values())
        row: dict[str, Any] = {
            "id": name,
            "duration": self.cost.durations(flops, moved, self._types)
            if duration is None
            else duration,
            "kind": kind,
            "stream": stream,
            "stage": stage,
            "parameters": list(groups),
        }
        self._operators.append(row)
        self._columns.append(
            (
                flops,
                backward_input,
                backward_weight if groups else 0.0,
                saved_input / MIB,
                saved_weight / MIB,
                block,
            )
        )
        for tensor in used:
            self._tensors[tensor]["consumers"].append(name)
        for tensor, size in outputs.items():
            self._bytes[tensor] = size
            self._tensors[tensor] = {
                "id": tensor,
                "producer": name,
                "consumers": [],
                "size": size / MIB,
            }
        return name

    def __contains__(self, tensor: str) -> bool:
        return tensor in self._bytes

    def size_of(self, tensor: str) -> float:
        """Bytes of a tensor added so far."""
        return self._bytes[tensor]

    def build(self, name: str, *, micro_batches: int = 1) -> Forward:
        """Return the forward graph; tensors nobody consumes are outputs.

        Raises
        ------
        InputError
            If the problem is not sound (see :func:`check_problem`).
        """
        for tensor in self._tensors.values():
            tensor["output"] = not tensor["consumers"]
        groups = [
            {"id": group, "size": model_state_bytes(count, training=False) / MIB}
            for group, count in self._parameters.items()
        ]
        problem = Problem(
            template=build_graph(self._operators, list(self._tensors.values()), groups),
            cluster=self.cluster,
            micro_batches=micro_batches,
            name=name,
        )
        check_problem(problem)
        flops, b_input, b_weight, s_input, s_weight, block = zip(*self._columns, strict=True)
        return Forward(
            problem=problem,
            flops=np.array(flops, dtype=float),
            backward_input=np.array(b_input, dtype=float),
            backward_weight=np.array(b_weight, dtype=float),
            saved_input=np.array(s_input, dtype=float),
            saved_weight=np.array(s_weight, dtype=float),
            block=np.array(block, dtype=object),
        )
