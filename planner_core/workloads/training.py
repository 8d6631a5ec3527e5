"""From a forward graph to a training graph: backward parts, saved activations, recomputation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from planner_core.problem import (
    KINDS,
    Graph,
    InputError,
    Problem,
    build_graph,
    check_problem,
)
from planner_core.problem.forward import Forward
from planner_core.problem.hardware import model_state_bytes

Row = dict[str, Any]


def adam_state_factor(zero_stage: int = 0, data_parallel: int = 1) -> float:
    """Return training memory over inference memory of weights: mixed-precision Adam, ZeRO.

    8 without sharding (16 bytes per parameter over 2); see
    :func:`planner_core.problem.hardware.model_state_bytes`.
    """
    state = model_state_bytes(1.0, zero_stage=zero_stage, data_parallel=data_parallel)
    return state / model_state_bytes(1.0, training=False)


def training(
    forward: Forward | Problem,
    *,
    split_backward: bool = True,
    recompute: bool | Mapping[str, str] = False,
    colocate: bool = True,
    state_factor: float | None = None,
    micro_batches: int | None = None,
    name: str | None = None,
) -> Problem:
    """Return the training problem of a forward graph.

    An operator ``x`` whose input needs a gradient gets ``x:I``, one with weights gets ``x:W``
    (both in one ``x:B`` if the backward is not split). What it saves goes from the forward to
    each part as a tensor of its own, gradients go backwards along every edge, and both parts of
    an operator consume the gradients of its outputs. Stages, devices, streams and parameter
    groups are those of the forward operator.

    Parameters
    ----------
    forward : Forward or Problem
        A plain problem is read with the assumptions of :meth:`Forward.of`. If nothing in the
        graph has weights, every operator gets an input part.
    split_backward : bool
    recompute : bool or mapping of operator id to block
        Operators of a block save nothing: ``x:R`` runs them again from the block's inputs once
        the gradient arrives (Chen et al. 2016, "Training Deep Nets with Sublinear Memory
        Cost"). True: the blocks of the forward graph (layers, stages).
    colocate : bool
        Keep forward, recomputation and backward of an operator on one device.
    state_factor : float, optional
        Memory of weights, gradients and optimiser state over that of the weights; default
        :func:`adam_state_factor` without sharding.
    micro_batches : int, optional
        Default: as in the forward problem.
    name : str, optional

    Returns
    -------
    Problem

    Raises
    ------
    InputError
        If the graph has a backward pass already, or a block of recomputation is left and
        entered again by a path, so that running it again would wait for itself.
    """
    if isinstance(forward, Problem):
        forward = Forward.of(forward)
    problem = forward.problem
    if state_factor is None:
        state_factor = adam_state_factor()
    if not 0 <= state_factor < float("inf"):
        raise InputError(f"state_factor is {state_factor:g}; it must be 0 or more")
    writer = _Writer(forward, split_backward, _blocks(forward, recompute), colocate)
    graph = problem.template
    groups = [
        {"id": group, "size": float(size * state_factor)}
        for group, size in zip(graph.group_ids, graph.group_size, strict=True)
    ]
    made = replace(
        problem,
        template=build_graph(writer.operators(), writer.tensors(), groups),
        micro_batches=problem.micro_batches if micro_batches is None else micro_batches,
        name=name or f"{problem.name}, training",
    )
    if recompute and made.template.find_cycle() is not None:
        raise InputError(
            "a block of recomputation is left and entered again by a path through other "
            "operators; choose blocks that hold everything between their operators"
        )
    check_problem(made)
    return made


def _blocks(forward: Forward, recompute: bool | Mapping[str, str]) -> list[str]:
    ids = forward.problem.template.operator_ids
    if recompute is False:
        return [""] * len(ids)
    if recompute is True:
        blocks = [str(block) for block in forward.block]
        if not any(blocks):
            raise InputError(
                "the forward graph names no blocks and no stages to recompute; give a mapping "
                "from operator id to block"
            )
        return blocks
    known = set(ids.tolist())
    for operator in recompute:
        if operator not in known:
            raise InputError(f"recompute names operator '{operator}', which does not exist")
    return [recompute.get(operator, "") for operator in ids]


def _needs_gradient(graph: Graph, weighted: np.ndarray) -> np.ndarray:
    """Whether the gradient of an operator's output is needed: weights at or before it."""
    needed = weighted.copy()
    ptr, edges = graph.out_edges
    targets = graph.edge_target
    for o in graph.topological_order:
        if needed[o]:
            needed[targets[edges[ptr[o] : ptr[o + 1]]]] = True
    return needed


class _Writer:
    """Writes the records of a training graph."""

    def __init__(self, forward: Forward, split: bool, blocks: list[str], colocate: bool) -> None:
        self.forward, self.split, self.blocks = forward, split, blocks
        self.colocate = colocate
        self.graph = graph = forward.problem.template
        self.ids = [str(name) for name in graph.operator_ids]
        self.weighted = forward.backward_weight > 0
        n = graph.n_operators
        if self.weighted.any():
            self.needed = _needs_gradient(graph, self.weighted)
            self.has_input = np.zeros(n, dtype=bool)
            fed = self.needed[graph.edge_source]
            self.has_input[graph.edge_target[fed]] = True
        else:
            self.needed = np.ones(n, dtype=bool)
            self.has_input = np.ones(n, dtype=bool)
        self.again = self._recomputed()

    def _recomputed(self) -> np.ndarray:
        """Operators that run again: in a block, and something of the backward needs them."""
        graph, forward = self.graph, self.forward
        saves = (forward.saved_input > 0) & self.has_input
        saves |= (forward.saved_weight > 0) & self.weighted
        again = np.zeros(graph.n_operators, dtype=bool)
        ptr, edges = graph.out_edges
        for o in graph.topological_order[::-1].tolist():
            block = self.blocks[o]
            if not block:
                continue
            targets = graph.edge_target[edges[ptr[o] : ptr[o + 1]]].tolist()
            again[o] = saves[o] or any(again[c] and self.blocks[c] == block for c in targets)
        return again

    def parts(self, o: int) -> list[str]:
        """Ids of the backward operators of a forward operator."""
        has_input, has_weight = bool(self.has_input[o]), bool(self.weighted[o])
        if not self.split:
            return [f"{self.ids[o]}:B"] if has_input or has_weight else []
        return [f"{self.ids[o]}:I"] * has_input + [f"{self.ids[o]}:W"] * has_weight

    def gradient_source(self, o: int) -> str:
        """Id of the operator that computes the gradient of the inputs."""
        return f"{self.ids[o]}:{'I' if self.split else 'B'}"

    def operators(self) -> list[Row]:
        """Forward operators, then recomputation and backward in reverse order."""
        rows = [self._row(o, "", 1.0, None) for o in range(self.graph.n_operators)]
        forward = self.forward
        for o in self.graph.topological_order[::-1].tolist():
            if self.again[o]:
                rows.append(self._row(o, ":R", 1.0, "backward_input"))
            share_i = float(forward.backward_input[o]) if self.has_input[o] else 0.0
            share_w = float(forward.backward_weight[o]) if self.weighted[o] else 0.0
            if not self.split and (self.has_input[o] or self.weighted[o]):
                rows.append(self._row(o, ":B", share_i + share_w, "backward"))
                continue
            if self.has_input[o]:
                rows.append(self._row(o, ":I", share_i, "backward_input"))
            if self.weighted[o]:
                rows.append(self._row(o, ":W", share_w, "backward_weight"))
        return rows

    def _row(self, o: int, suffix: str, share: float, kind: str | None) -> Row:
        graph = self.graph
        own = KINDS[graph.kind[o]]
        collective = own in ("all_to_all", "all_reduce")
        if kind is None:
            kind = "forward" if own == "other" else own
        elif collective:
            kind = own
        duration: float | dict[str, float] = float(graph.duration[o]) * share
        if np.isnan(graph.duration[o]):
            duration = {
                name: float(graph.duration_by_type[o, j]) * share
                for j, name in enumerate(graph.type_names)
                if not np.isnan(graph.duration_by_type[o, j])
            }
        group = int(graph.colocation[o])
        together = self.ids[o] if self.colocate else None
        devices = int(graph.device_set[o])
        return {
            "id": self.ids[o] + suffix,
            "duration": duration,
            "kind": kind,
            "stream": graph.stream_names[graph.stream[o]],
            "stage": None if graph.stage[o] < 0 else int(graph.stage[o]),
            "micro_batch": None if graph.micro_batch[o] < 0 else int(graph.micro_batch[o]),
            "workspace": float(graph.workspace[o]),
            "colocate": graph.colocation_names[group] if group >= 0 else together,
            "devices": None if devices < 0 else graph.device_sets[devices],
            "parameters": graph.group_ids[graph.groups_of(o)].tolist(),
        }

    def tensors(self) -> list[Row]:
        """Forward tensors, saved activations, gradients, and the order of recomputation."""
        rows: list[Row] = []
        for t in range(self.graph.n_tensors):
            rows += self._along_tensor(t)
        for o in range(self.graph.n_operators):
            rows += self._saved(o)
        return rows + self._triggers()

    def _along_tensor(self, t: int) -> list[Row]:
        graph = self.graph
        name, producer = str(graph.tensor_ids[t]), int(graph.producer[t])
        consumers = graph.consumers_of(t).tolist()
        transfer = None if np.isnan(graph.transfer[t]) else float(graph.transfer[t])
        common = {"size": float(graph.size[t]), "transfer": transfer}
        block = self.blocks[producer]
        inner = [c for c in consumers if self.again[c] and self.blocks[c] == block]
        outer = [c for c in consumers if self.again[c] and self.blocks[c] != block]
        rows: list[Row] = [
            {
                "id": name,
                "producer": self.ids[producer],
                "consumers": [self.ids[c] for c in consumers] + [f"{self.ids[c]}:R" for c in outer],
                **common,
            }
        ]
        if inner:
            rows.append(
                {
                    "id": f"{name}:R",
                    "producer": f"{self.ids[producer]}:R",
                    "consumers": [f"{self.ids[c]}:R" for c in inner],
                    **common,
                }
            )
        if self.needed[producer] and self.parts(producer):
            rows += [
                {
                    "id": f"{name}:gradient of {self.ids[c]}",
                    "producer": self.gradient_source(c),
                    "consumers": self.parts(producer),
                    **common,
                }
                for c in consumers
            ]
        return rows

    def _saved(self, o: int) -> list[Row]:
        """Return the saved activations; size 0 where nothing is saved, for the order."""
        source = self.ids[o] + (":R" if self.again[o] else "")
        saved_input = float(self.forward.saved_input[o]) if self.has_input[o] else 0.0
        saved_weight = float(self.forward.saved_weight[o]) if self.weighted[o] else 0.0
        sizes = [saved_input + saved_weight]
        if self.split:
            sizes = [saved_input] * bool(self.has_input[o]) + [saved_weight] * bool(
                self.weighted[o]
            )
        return [
            {
                "id": f"{part}:saved",
                "producer": source,
                "consumers": [part],
                "size": size,
            }
            for part, size in zip(self.parts(o), sizes, strict=False)
        ]

    def _triggers(self) -> list[Row]:
        """Let a block run again only once a gradient reaches it (or its forward has ended)."""
        graph = self.graph
        source, target = graph.edge_source.tolist(), graph.edge_target.tolist()
        fed_inside: set[int] = set()
        arriving: dict[str, dict[str, None]] = {}
        leaving: set[int] = set()
        for a, b in zip(source, target, strict=True):
            block = self.blocks[a]
            if block and self.blocks[b] == block:
                leaving.add(a)
                if self.again[a] and self.again[b]:
                    fed_inside.add(b)
            elif block and self.needed[a] and self.parts(a):
                leaving.add(a)
                arriving.setdefault(block, {})[self.gradient_source(b)] = None
        roots: dict[str, list[str]] = {}
        for o in np.flatnonzero(self.again).tolist():
            if o not in fed_inside:
                roots.setdefault(self.blocks[o], []).append(f"{self.ids[o]}:R")
        for o, block in enumerate(self.blocks):
            if block in roots and block not in arriving and o not in leaving:
                roots_of_last = arriving.setdefault(f"{block}\0last", {})
                roots_of_last[self.ids[o]] = None
        return [
            {
                "id": f"{trigger}:recompute {block}",
                "producer": trigger,
                "consumers": consumers,
            }
            for block, consumers in roots.items()
            for trigger in arriving.get(block, arriving.get(f"{block}\0last", {}))
        ]
