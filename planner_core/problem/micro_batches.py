"""Another number of micro-batches for a problem, also where each is listed by itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from planner_core.problem.checks import check_problem
from planner_core.problem.errors import InputError, NotApplicable
from planner_core.problem.graph import Graph, IntArray, PtrArray
from planner_core.problem.limits import check_counts
from planner_core.problem.problem import Problem


def micro_batch_range(problem: Problem) -> int:
    """Micro-batches of a problem: of its template, or as many as it lists; at least 1."""
    listed = int(problem.template.micro_batch.max(initial=-1)) + 1
    return max(problem.micro_batches, listed, 1)


def with_micro_batches(problem: Problem, count: int) -> Problem:
    """Return the same problem with another number of micro-batches.

    A template is repeated so often. Where the file lists every micro-batch, micro-batch j of
    the new problem is a copy of micro-batch ⌊j · m / count⌋ of the m given ones, so that each
    kind keeps its share: of a bidirectional pipeline one half still runs down, one up.

    Raises
    ------
    InputError
        If ``count`` is below 1 or the problem becomes too large.
    NotApplicable
        If micro-batches depend on each other.
    """
    if count < 1:
        raise InputError(f"micro_batches is {count}; it must be 1 or more")
    given = micro_batch_range(problem)
    if count == given:
        return problem
    if np.all(problem.template.micro_batch < 0):
        check_counts(problem.n_devices, problem.template.n_operators * count)
        changed = replace(problem, micro_batches=count)
    else:
        largest = int(np.bincount(problem.template.micro_batch[problem.template.micro_batch >= 0])
                      .max(initial=0))  # fmt: skip
        check_counts(problem.n_devices, largest * count)
        changed = replace(problem, template=_resampled(problem.template, given, count))
    check_problem(changed)
    return changed


def _resampled(graph: Graph, given: int, count: int) -> Graph:
    """Copy the listed micro-batches so that there are ``count``; operators of none stay."""
    batch = graph.micro_batch
    shared = np.flatnonzero(batch < 0)
    made = batch[graph.producer]
    crossing = (made[graph.edge_tensor] != batch[graph.consumer]) & (batch[graph.consumer] >= 0)
    if crossing.any():
        edge = int(np.flatnonzero(crossing)[0])
        raise NotApplicable(
            f"operator '{graph.operator_ids[graph.consumer[edge]]}' consumes what another "
            "micro-batch makes; the number of micro-batches of this problem is fixed"
        )
    sources = [j * given // count for j in range(count)]
    members = [np.flatnonzero(batch == i) for i in sources]
    tensors = [np.flatnonzero(made == i) for i in sources]
    operators = np.concatenate([*members, shared]).astype(np.int32)
    copy = np.repeat([*range(count), -1], [*(len(row) for row in members), len(shared)])
    picked = np.concatenate([*tensors, np.flatnonzero(made < 0)]).astype(np.int32)
    of_copy = np.repeat([*range(count), -1], [*(len(row) for row in tensors), (made < 0).sum()])
    place = _places(operators, copy, graph.n_operators, count)
    consumer_ptr, positions = _gather(graph.consumer_ptr, picked)
    consumers = graph.consumer[positions]
    reader = np.repeat(of_copy, np.diff(consumer_ptr))
    parameter_ptr, parameters = _gather(graph.parameter_ptr, operators)
    return replace(
        graph,
        operator_ids=_renamed(graph.operator_ids, operators, batch, copy),
        kind=graph.kind[operators],
        duration=graph.duration[operators],
        duration_by_type=graph.duration_by_type[operators],
        stream=graph.stream[operators],
        stage=graph.stage[operators],
        micro_batch=copy.astype(np.int32),
        workspace=graph.workspace[operators],
        colocation=graph.colocation[operators],
        device_set=graph.device_set[operators],
        parameter_ptr=parameter_ptr,
        parameter_index=graph.parameter_index[parameters],
        tensor_ids=_renamed(graph.tensor_ids, picked, made, of_copy),
        producer=place[of_copy, graph.producer[picked]],
        size=graph.size[picked],
        transfer=graph.transfer[picked],
        is_output=graph.is_output[picked],
        consumer_ptr=consumer_ptr,
        consumer=np.where(batch[consumers] < 0, place[-1, consumers], place[reader, consumers]),
    )


def _places(operators: IntArray, copy: np.ndarray, n: int, count: int) -> IntArray:
    """New number of each old operator in each copy; the last row is for those of no copy."""
    place = np.full((count + 1, n), -1, dtype=np.int32)
    place[copy, operators] = np.arange(len(operators), dtype=np.int32)
    return place


def _gather(ptr: PtrArray, rows: IntArray) -> tuple[PtrArray, np.ndarray]:
    """CSR of some rows: the new ptr and the positions of their entries."""
    lengths = np.diff(ptr)[rows]
    new_ptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    offsets = np.repeat(ptr[rows] - new_ptr[:-1], lengths)
    return new_ptr, np.arange(int(lengths.sum())) + offsets


def _renamed(ids: np.ndarray, picked: IntArray, batch: IntArray, copy: np.ndarray) -> np.ndarray:
    """``F0@3`` copied to micro-batch 5 becomes ``F0@5``; other names get the number added."""
    names = []
    for old, new in zip(picked.tolist(), copy.tolist(), strict=True):
        name = str(ids[old])
        if new >= 0:
            name = f"{name.removesuffix(f'@{batch[old]}')}@{new}"
        names.append(name)
    return np.array(names, dtype=object)
