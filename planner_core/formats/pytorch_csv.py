"""Plans of pipelines as the schedule files of PyTorch's pipeline runtime.

"Compute only" CSV of ``torch.distributed.pipelining``: a row per rank, no header, one action a
cell: ``<stage><type><micro-batch>`` with type F (forward), I (backward for the input), W
(backward for the weights) or B (both at once). torchtitan reads such a file as
``pipeline_parallel_schedule_csv``, NeMo AutoModel as ``pp_schedule_csv``.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from planner_core.problem import NotApplicable, Problem
from planner_core.problem.pipeline import PHASES, PipelineView
from planner_core.schedule import Schedule

LETTERS: dict[str, str] = {
    "forward": "F",
    "backward_input": "I",
    "backward_weight": "W",
    "backward": "B",
}
"""Action type of each phase."""


def pytorch_csv(problem: Problem, schedule: Schedule) -> str:
    """Return the order of a pipeline's actions on every rank.

    Operators of no micro-batch (optimizer steps) are not part of such a file: the training loop
    runs them after the schedule.

    Parameters
    ----------
    problem : Problem
    schedule : Schedule
        Of ``problem.graph``; device k is rank k.

    Returns
    -------
    str
        One line per device.

    Raises
    ------
    NotApplicable
        If the schedule is no pipeline this runtime can run; the text says why.
    """
    view = PipelineView.of(problem)
    if len(schedule.overlapped):
        raise NotApplicable(
            "the schedule runs overlapped pairs of operators, which a compute-only file cannot "
            "hold; export the sequential variant"
        )
    _check_stages(view, problem, schedule)
    lines: list[list[tuple[float, float, str]]] = [[] for _ in range(problem.n_devices)]
    for phase, name in enumerate(PHASES):
        for c, cell in enumerate(view.cells[phase]):
            if not cell:
                continue
            stage, micro_batch = divmod(c, view.n_micro_batches)
            members = list(cell)
            lines[int(schedule.device[members[0]])].append(
                (
                    float(schedule.start[members].min()),
                    float(schedule.finish[members].max()),
                    f"{stage}{LETTERS[name]}{micro_batch}",
                )
            )
    for k, line in enumerate(lines):
        line.sort()
        _check_order(problem, k, line, schedule.makespan)
    return "".join(",".join(action for _, _, action in line) + "\n" for line in lines)


def _check_stages(view: PipelineView, problem: Problem, schedule: Schedule) -> None:
    """Every stage has one rank: the runtime keeps a stage's weights in one place."""
    for stage in range(view.n_stages):
        ranks = np.unique(schedule.device[view.stage == stage])
        if len(ranks) > 1:
            names = ", ".join(problem.cluster.device_ids[k] for k in ranks[:4])
            raise NotApplicable(
                f"stage {stage} runs on {names}; PyTorch's pipeline runtime keeps a stage on one "
                "rank, so bidirectional and free placements have no such file"
            )


def _check_order(
    problem: Problem, device: int, line: list[tuple[float, float, str]], makespan: float
) -> None:
    """Actions do not interleave: the runtime runs one after the other."""
    for (_, end, first), (begin, _, second) in pairwise(line):
        if begin < end - 1e-9 * makespan:
            raise NotApplicable(
                f"{first} and {second} overlap on {problem.cluster.device_ids[device]}; PyTorch's "
                "pipeline runtime runs one action after the other"
            )
