"""GPipe, 1F1B and interleaved 1F1B: schedules with the backward in one piece."""

from __future__ import annotations

from planner_core.baselines.layout import Entry, Layout, Rows, lay_out, view_of
from planner_core.problem import InputError, NotApplicable, Problem
from planner_core.problem.placements import pipeline_devices


def linear(problem: Problem) -> Layout:
    """Consecutive stages on consecutive devices.

    Raises
    ------
    NotApplicable
        If the problem is no pipeline or its stages do not divide over the devices.
    """
    view = view_of(problem)
    return lay_out(problem, view, [range(len(pipeline_devices(problem)))])


def interleaved(problem: Problem, chunks: int | None = None) -> Layout:
    """Stages in ``chunks`` rounds over the devices (default: one stage per round, at least 2).

    Raises
    ------
    NotApplicable
        If micro-batches are not divisible by devices or stages by devices × chunks.
    """
    view = view_of(problem)
    p, m = len(pipeline_devices(problem)), view.n_micro_batches
    if chunks is not None and chunks < 1:
        raise InputError(f"chunks is {chunks}; it must be 1 or more")
    if chunks is None:
        chunks = max(2, view.n_stages // p)
    if view.n_stages % (p * chunks):
        raise NotApplicable(
            f"interleaved 1F1B with {chunks} chunks needs stages divisible by {p * chunks}; "
            f"there are {view.n_stages}"
        )
    if m % p:
        raise NotApplicable(
            f"interleaved 1F1B needs micro-batches divisible by the {p} devices; there are {m}"
        )
    return lay_out(problem, view, [list(range(p)) * chunks])


def gpipe(layout: Layout) -> Rows:
    """All forwards, then all backwards (Huang et al. 2019)."""
    m = range(layout.n_micro_batches)
    return [[*(("F", d, i) for i in m), *(("B", d, i) for i in m)] for d in range(layout.n_ranks)]


def one_forward_one_backward(layout: Layout) -> Rows:
    """Warm up with p − d forwards on device d, then alternate (Narayanan et al. 2019).

    Device d never holds more than p − d activations; bubble (p − 1)(F + B).
    """
    return [
        warm_and_alternate(d, layout.n_micro_batches, layout.n_ranks - d)
        for d in range(layout.n_ranks)
    ]


def warm_and_alternate(virtual: int, micro_batches: int, warm: int) -> list[Entry]:
    """One device's 1F1B: ``warm`` forwards, then backward and forward in turn."""
    warm = min(warm, micro_batches)
    row: list[Entry] = [("F", virtual, i) for i in range(warm)]
    for i in range(micro_batches):
        row.append(("B", virtual, i))
        if i + warm < micro_batches:
            row.append(("F", virtual, i + warm))
    return row


def interleaved_one_forward_one_backward(layout: Layout) -> Rows:
    """1F1B over several chunks per device (Narayanan et al. 2021, Megatron-LM).

    Chunks take turns for p micro-batches each; device d warms up with
    2(p − d − 1) + (chunks − 1)p forwards.
    """
    p, m = layout.n_ranks, layout.n_micro_batches
    chunks = layout.n_virtual // p
    total = m * chunks

    def turn(k: int, backward: bool) -> tuple[int, int]:
        chunk, micro_batch = k // p % chunks, k // (p * chunks) * p + k % p
        return (chunks - 1 - chunk if backward else chunk), micro_batch

    rows: Rows = []
    for d in range(p):
        # One more than the warm-up, because the steady state starts with a forward.
        ahead = min(total, 2 * (p - d - 1) + (chunks - 1) * p + 1)
        row: list[Entry] = []
        for k in range(total + ahead):
            if k < total:
                chunk, i = turn(k, backward=False)
                row.append(("F", chunk * p + d, i))
            if k >= ahead - 1 and k - ahead + 1 < total:
                chunk, i = turn(k - ahead + 1, backward=True)
                row.append(("B", chunk * p + d, i))
        rows.append(row)
    return rows
