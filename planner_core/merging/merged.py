"""A merged graph as a problem of its own, and back: plans of it become plans of the original."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from planner_core.problem import KIND_CODE, NotApplicable, Problem
from planner_core.problem.graph import FloatArray, IntArray, PtrArray
from planner_core.schedule import Schedule, compile_tasks, earliest_starts, validate
from planner_core.schedule.compiled import run_sized


@dataclass(frozen=True, eq=False, kw_only=True)
class Merged:
    """A problem whose operators are merged into macro-operators.

    Parameters
    ----------
    original : Problem
    macro : int32 array, shape (n,)
        Macro-operator of every operator of ``original.graph``.
    colocation : int32 array, shape (q,)
        Colocation group of every macro-operator, −1 for none.
    method : str
    cap : float
        Work a macro-operator could reach by merging.
    """

    original: Problem
    macro: IntArray
    colocation: IntArray
    method: str
    cap: float

    @property
    def n_macros(self) -> int:
        """Number of macro-operators."""
        return len(self.colocation)

    @cached_property
    def problem(self) -> Problem:
        """The merged problem.

        A macro-operator runs its operators one after the other: durations add, parameter
        groups and tensors to other macro-operators unite, and its workspace is the most that
        its inner tensors and workspaces take at once. It waits for all inputs before it starts
        and lets go of its results when it has ended, so its times can be met.
        """
        return _MergedProblem(self).problem()

    def unmerge(self, schedule: Schedule) -> Schedule:
        """Return the schedule of the original operators that a merged schedule means.

        Every operator runs on its macro-operator's device, in the macro-operators' order and
        inside each in topological order; starts are as early as that order allows.

        Parameters
        ----------
        schedule : Schedule
            Of :attr:`problem`.

        Raises
        ------
        NotApplicable
            If the schedule breaks a rule on the original operators and no safe order of starts
            on these devices keeps the memory limits.
        """
        problem = self.original
        device = schedule.device[self.macro].astype(np.int32)
        rank = _ranks_of(self.problem.graph.topological_order)
        order = np.lexsort((rank, schedule.finish, schedule.start))
        place = _ranks_of(order)
        own = _ranks_of(problem.graph.topological_order)
        sequence = np.lexsort((own, place[self.macro]))
        tasks = compile_tasks(problem, device)
        resource = tasks.resource[sequence]
        rows = sequence[np.argsort(resource, kind="stable")]
        cuts = np.searchsorted(np.sort(resource), np.arange(1, tasks.n_resources))
        result = tasks.schedule(
            earliest_starts(tasks, [row.tolist() for row in np.split(rows, cuts)])
        )
        broken = validate(problem, result)
        if any(violation.rule == "memory" for violation in broken):
            from planner_core.schedule.safe_order import safe_schedule

            result = safe_schedule(problem, device, -_ranks_of(sequence).astype(float))
            broken = validate(problem, result)
        if broken:
            raise NotApplicable(f"the un-merged plan breaks a rule: {broken[0].message}")
        return result


def _ranks_of(order: np.ndarray) -> np.ndarray:
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank


class _MergedProblem:
    """Builds the columns of the merged graph."""

    def __init__(self, merged: Merged) -> None:
        self.merged, self.original = merged, merged.original
        self.graph, self.macro, self.q = merged.original.graph, merged.macro, merged.n_macros
        # The first operator of a macro-operator stands for what all its operators share.
        self.first = np.empty(self.q, dtype=np.int64)
        self.first[self.macro[::-1]] = np.arange(len(self.macro))[::-1]

    def problem(self) -> Problem:
        graph, macro, q = self.graph, self.macro, self.q
        original, cluster = self.original, self.original.cluster
        by_type = np.isnan(graph.duration)
        type_names, table = graph.type_names, np.empty((q, 0))
        duration: FloatArray = np.bincount(macro, graph.duration, q).astype(float)
        if by_type.any():
            # Operators that give one number and operators that give one per type do not add up
            # but on a device: every device becomes a type of its own.
            table = self._sums(np.asarray(original.durations))
            type_names = cluster.device_ids
            duration = np.full(q, np.nan)
            cluster = replace(cluster, device_types=type_names, speed=np.ones(original.n_devices))
        elif len(type_names):
            type_names = ()
        parameter_ptr, parameter_index = self._parameters()
        size = np.bincount(macro, minlength=q)
        names = graph.operator_ids[self.first].copy()
        for i in np.flatnonzero(size > 1).tolist():
            names[i] = f"{names[i]} + {size[i] - 1}"
        template = replace(
            graph,
            operator_ids=names,
            kind=self._shared(graph.kind, KIND_CODE["other"]),
            duration=duration,
            type_names=type_names,
            duration_by_type=np.where(np.isfinite(table), table, np.nan),
            stream=graph.stream[self.first],
            stage=self._shared(graph.stage, -1),
            micro_batch=self._shared(graph.micro_batch, -1),
            workspace=self._inner_peaks(),
            colocation=self.merged.colocation,
            device_set=graph.device_set[self.first],
            parameter_ptr=parameter_ptr,
            parameter_index=parameter_index,
            **self._tensors(),
        )
        single = original.objective.primary != "period"
        return replace(
            original,
            template=template,
            cluster=cluster,
            micro_batches=1 if single else original.micro_batches,
            name=f"{original.name}, merged",
        )

    def _sums(self, table: FloatArray) -> FloatArray:
        columns = [np.bincount(self.macro, weights=column, minlength=self.q) for column in table.T]
        return np.stack(columns, axis=1)

    def _shared(self, column: np.ndarray, otherwise: int) -> np.ndarray:
        """Value that all operators of each macro-operator have, or ``otherwise``."""
        value = column[self.first]
        differs = np.zeros(self.q, dtype=bool)
        differs[self.macro[column != value[self.macro]]] = True
        return np.where(differs, otherwise, value).astype(column.dtype)

    def _parameters(self) -> tuple[PtrArray, IntArray]:
        graph = self.graph
        users = self.macro[np.repeat(np.arange(graph.n_operators), np.diff(graph.parameter_ptr))]
        groups = max(1, graph.n_groups)
        pairs = np.unique(users.astype(np.int64) * groups + graph.parameter_index)
        ptr = np.searchsorted(pairs // groups, np.arange(self.q + 1))
        return ptr.astype(np.int64), (pairs % groups).astype(np.int32)

    def _leaving(self) -> tuple[np.ndarray, PtrArray, IntArray]:
        """Tensors that leave their macro-operator and (CSR) the macro-operators they go to."""
        graph, macro, q = self.graph, self.macro, self.q
        home, to = macro[graph.edge_source], macro[graph.edge_target]
        out = home != to
        pairs = np.unique(graph.edge_tensor[out].astype(np.int64) * q + to[out])
        leaves = graph.is_output.copy()
        leaves[pairs // q] = True
        tensors = np.flatnonzero(leaves)
        ptr = np.searchsorted(pairs // q, np.append(tensors, graph.n_tensors))
        return tensors, ptr.astype(np.int64), (pairs % q).astype(np.int32)

    def _tensors(self) -> dict[str, Any]:
        """Tensors of one producer and the same consumers become one."""
        graph = self.graph
        tensors, ptr, consumer = self._leaving()
        fixed = ~np.isnan(graph.transfer[tensors])
        kept = graph.is_output[tensors]
        bundle = _bundles(self.macro[graph.producer[tensors]], ptr, consumer, fixed, kept)
        lead = np.flatnonzero(np.diff(np.sort(bundle), prepend=-1))
        first = np.argsort(bundle, kind="stable")[lead]
        count = len(first)
        together = self.original.cluster.staged or bool(self.original.cluster.exclusive.any())
        transfer = np.zeros(count)
        times = np.where(fixed, graph.transfer[tensors], 0.0)
        # Transfers that queue take their time one after the other, others side by side.
        (np.add if together else np.maximum).at(transfer, bundle, times)
        width = np.diff(ptr)[first]
        rows = np.repeat(ptr[:-1][first] - np.cumsum(width) + width, width)
        return {
            "tensor_ids": graph.tensor_ids[tensors[first]],
            "producer": self.macro[graph.producer[tensors[first]]].astype(np.int32),
            "size": np.bincount(bundle, weights=graph.size[tensors], minlength=count),
            "transfer": np.where(fixed[first], transfer, np.nan),
            "is_output": kept[first],
            "consumer_ptr": np.concatenate([[0], np.cumsum(width)]).astype(np.int64),
            "consumer": consumer[rows + np.arange(len(rows))],
        }

    def _inner_peaks(self) -> FloatArray:
        """Most that workspaces and tensors that stay inside take at once; shape (q,)."""
        graph, macro = self.graph, self.macro
        inner = np.ones(graph.n_tensors, dtype=bool)
        inner[self._leaving()[0]] = False
        if not (np.any(graph.size[inner] > 0) or np.any(graph.workspace > 0)):
            return np.zeros(self.q)
        rank = _ranks_of(graph.topological_order)
        last = rank[graph.producer]
        np.maximum.at(last, graph.edge_tensor, rank[graph.edge_target])
        size = np.where(inner, graph.size, 0.0)
        n = graph.n_operators
        made = np.bincount(graph.producer, weights=size, minlength=n)
        freed = np.bincount(graph.topological_order[last], weights=size, minlength=n)
        order = graph.topological_order
        arguments = (macro[order], made[order], graph.workspace[order], freed[order])
        return np.array(run_sized(_peaks, n, *arguments, self.q))


def _peaks(
    macro: IntArray, made: FloatArray, workspace: FloatArray, freed: FloatArray, count: int
) -> list[float]:
    """Largest use of each macro-operator whose operators run in the given order."""
    used = [0.0] * count
    peak = [0.0] * count
    for i in range(len(macro)):
        m = macro[i]
        used[m] += made[i]
        peak[m] = max(peak[m], used[m] + workspace[i])
        used[m] -= freed[i]
    return peak


def _bundles(
    home: np.ndarray, ptr: PtrArray, consumer: IntArray, fixed: np.ndarray, kept: np.ndarray
) -> np.ndarray:
    """Number tensors so that equal numbers mean equal producer, consumers and kind, exactly.

    Consumers are compared position by position: each step splits the numbers of the step before.
    """
    key = home.astype(np.int64) * 4 + fixed * 2 + kept
    width = np.diff(ptr)
    number = np.unique(np.stack([key, width]), axis=1, return_inverse=True)[1].ravel()
    position = 0
    open_rows = np.flatnonzero(width > 0)
    while len(open_rows):
        pair = number[open_rows] * (np.int64(consumer.max()) + 1)
        pair = pair + consumer[ptr[open_rows] + position]
        _, split = np.unique(pair, return_inverse=True)
        number[open_rows] = len(number) * (position + 1) + split.ravel()
        position += 1
        open_rows = open_rows[width[open_rows] > position]
    return np.unique(number, return_inverse=True)[1].ravel()
