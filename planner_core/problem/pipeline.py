"""The pipeline structure of a problem: which operators belong to which stage and micro-batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner_core.problem.errors import NotApplicable
from planner_core.problem.graph import KIND_CODE, Graph, IntArray
from planner_core.problem.problem import Problem

PHASES: tuple[str, ...] = ("forward", "backward_input", "backward_weight", "backward")
"""Kinds a cell of a pipeline is made of, in the order of their codes."""

Cell = tuple[int, ...]

TAIL = len(PHASES)
"""Phase code of operators that run once per stage, after all micro-batches."""


@dataclass(frozen=True, eq=False, kw_only=True)
class PipelineView:
    """A problem's operators as S stages × m micro-batches.

    Parameters
    ----------
    problem : Problem
    n_stages, n_micro_batches : int
    stage, micro_batch : int32 arrays, shape (n,)
        Of every operator; the micro-batch of a tail operator is −1.
    phase : int8 array, shape (n,)
        Index into :data:`PHASES`; ``len(PHASES)`` for tail operators.
    cells : list of 4 lists
        ``cells[phase][stage * m + micro_batch]``: operators in topological order.
    tails : list of S tuples of int
        Operators of a stage that run after all its micro-batches (optimizer steps and gradient
        all-reduces that belong to no micro-batch).
    """

    problem: Problem
    n_stages: int
    n_micro_batches: int
    stage: IntArray
    micro_batch: IntArray
    phase: np.ndarray
    cells: list[list[Cell]]
    tails: list[Cell]

    @classmethod
    def of(cls, problem: Problem) -> PipelineView:
        """Recognise the pipeline in ``problem.graph``.

        Operators of other kinds (all-to-all, all-reduce, other) take the phase of what feeds
        them in their micro-batch, or else of what they feed.

        Raises
        ------
        NotApplicable
            If the graph is not a training pipeline; the text says what is missing.
        """
        graph = problem.graph
        lost = np.flatnonzero(graph.stage < 0)
        if len(lost):
            raise NotApplicable(
                f"operator '{graph.operator_ids[lost[0]]}' has no stage; "
                "pipeline schedules need a stage for every operator"
            )
        micro_batch = _micro_batches(graph)
        n_stages = int(graph.stage.max()) + 1
        m = int(micro_batch.max()) + 1
        phase = phases(graph, micro_batch)
        cells: list[list[Cell]] = []
        ordered = graph.topological_order
        cell_of = graph.stage * m + micro_batch
        for code in range(len(PHASES)):
            rows: list[list[int]] = [[] for _ in range(n_stages * m)]
            members = ordered[phase[ordered] == code]
            for o, c in zip(members.tolist(), cell_of[members].tolist(), strict=True):
                rows[c].append(o)
            cells.append([tuple(row) for row in rows])
        tails: list[list[int]] = [[] for _ in range(n_stages)]
        for o in ordered[phase[ordered] == TAIL].tolist():
            tails[graph.stage[o]].append(o)
        view = cls(
            problem=problem,
            n_stages=n_stages,
            n_micro_batches=m,
            stage=graph.stage,
            micro_batch=micro_batch,
            phase=phase,
            cells=cells,
            tails=[tuple(row) for row in tails],
        )
        view._check_cells()
        view._check_flow()
        return view

    def forward(self, stage: int, micro_batch: int) -> Cell:
        """Forward operators of a cell."""
        return self.cells[0][stage * self.n_micro_batches + micro_batch]

    def backward_input(self, stage: int, micro_batch: int) -> Cell:
        """Operators of a cell that compute the input gradient."""
        return self.cells[1][stage * self.n_micro_batches + micro_batch]

    def backward_weight(self, stage: int, micro_batch: int) -> Cell:
        """Operators of a cell that compute the weight gradient."""
        return self.cells[2][stage * self.n_micro_batches + micro_batch]

    def backward(self, stage: int, micro_batch: int) -> Cell:
        """Operators of a cell that compute both gradients at once (fused backward)."""
        return self.cells[3][stage * self.n_micro_batches + micro_batch]

    @property
    def is_split(self) -> bool:
        """Whether every backward is split into an input and a weight part."""
        return not bool(np.any(self.phase == PHASES.index("backward")))

    def _check_cells(self) -> None:
        for c in range(self.n_stages * self.n_micro_batches):
            stage, micro_batch = divmod(c, self.n_micro_batches)
            where = f"stage {stage} of micro-batch {micro_batch}"
            if not self.cells[0][c]:
                raise NotApplicable(
                    f"{where} has no forward operator; pipeline schedules need every stage in "
                    "every micro-batch"
                )
            if not (self.cells[1][c] or self.cells[2][c] or self.cells[3][c]):
                raise NotApplicable(
                    f"{where} has no backward operator; pipeline schedules are for training"
                )

    def _check_flow(self) -> None:
        """Forward goes up the stages, backward down, and micro-batches are independent."""
        graph = self.problem.graph
        a, b = graph.edge_source, graph.edge_target
        inner = (self.phase[a] != TAIL) & (self.phase[b] != TAIL)
        a, b = a[inner], b[inner]
        forward_a, forward_b = self.phase[a] == 0, self.phase[b] == 0
        step = self.stage[b] - self.stage[a]
        checks = (
            (self.micro_batch[a] != self.micro_batch[b], "in another micro-batch"),
            (forward_a & forward_b & (step < 0), "in an earlier stage"),
            (~forward_a & ~forward_b & (step > 0), "in a later stage"),
            (~forward_a & forward_b, "which is a forward operator"),
        )
        for wrong, what in checks:
            if wrong.any():
                e = int(np.flatnonzero(wrong)[0])
                raise NotApplicable(
                    f"operator '{graph.operator_ids[a[e]]}' ({PHASES[self.phase[a[e]]]}) feeds "
                    f"'{graph.operator_ids[b[e]]}', {what}; that is no pipeline"
                )


def _micro_batches(graph: Graph) -> IntArray:
    """Micro-batch of every operator; −1 only for tail operators."""
    if np.all(graph.micro_batch < 0):
        return np.zeros(graph.n_operators, dtype=np.int32)
    tail_kinds = [KIND_CODE["optimizer"], KIND_CODE["all_reduce"]]
    lost = np.flatnonzero((graph.micro_batch < 0) & ~np.isin(graph.kind, tail_kinds))
    if len(lost):
        raise NotApplicable(
            f"operator '{graph.operator_ids[lost[0]]}' has no micro_batch although others have; "
            "pipeline schedules need one for every operator"
        )
    return graph.micro_batch


def phases(graph: Graph, micro_batch: IntArray) -> np.ndarray:
    """Phase code of every operator; ``TAIL`` for those that run after all micro-batches.

    Parameters
    ----------
    graph : Graph
        Operators of no phase of their own take one from their neighbours.
    micro_batch : int array, shape (n,)

    Returns
    -------
    int8 array, shape (n,)

    Raises
    ------
    NotApplicable
        If an operator has no neighbour with a phase.
    """
    phase = np.full(graph.n_operators, -1, dtype=np.int8)
    for code, kind in enumerate(PHASES):
        phase[graph.kind == KIND_CODE[kind]] = code
    phase[(graph.kind == KIND_CODE["optimizer"]) | (micro_batch < 0)] = TAIL
    unknown = np.flatnonzero(phase < 0)
    if not len(unknown):
        return phase
    order = graph.topological_order
    rank = np.empty(graph.n_operators, dtype=np.int64)
    rank[order] = np.arange(len(order))
    unknown = unknown[np.argsort(rank[unknown])]
    # Backward never feeds forward: of what feeds an operator the last decides, of what it feeds
    # the first.
    for (ptr, edges), ends, sequence, nearest in (
        (graph.in_edges, graph.edge_source, unknown, np.argmax),
        (graph.out_edges, graph.edge_target, unknown[::-1], np.argmin),
    ):
        for o in sequence.tolist():
            if phase[o] >= 0:
                continue
            near = ends[edges[ptr[o] : ptr[o + 1]]]
            known = (phase[near] >= 0) & (phase[near] != TAIL)
            near = near[known & (micro_batch[near] == micro_batch[o])]
            if len(near):
                phase[o] = phase[near[nearest(rank[near])]]
    lost = np.flatnonzero(phase < 0)
    if len(lost):
        raise NotApplicable(
            f"operator '{graph.operator_ids[lost[0]]}' touches neither forward nor backward "
            "operators of its stage; give it one of these kinds"
        )
    return phase
