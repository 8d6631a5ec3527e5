"""ZB-H1 and ZB-H2: hand-made schedules with the backward split (Qi et al. 2023)."""

from __future__ import annotations

from planner_core.baselines.layout import Entry, Layout, Rows
from planner_core.baselines.one_forward_one_backward import linear
from planner_core.problem import NotApplicable, Problem


def split_linear(problem: Problem) -> Layout:
    """Linear placement of a pipeline whose backward is split.

    Raises
    ------
    NotApplicable
        If a backward is in one piece.
    """
    return require_split(linear(problem))


def require_split(layout: Layout) -> Layout:
    """Return the layout if every backward is split.

    Raises
    ------
    NotApplicable
        Otherwise.
    """
    if not layout.view.is_split:
        raise NotApplicable(
            "this schedule splits the backward into input and weight parts; give the backward "
            "operators as backward_input and backward_weight"
        )
    return layout


def zb_h1(layout: Layout) -> Rows:
    """1F1B's warm-up; device d puts its weight parts off by d micro-batches.

    So every device holds at most p activations, as 1F1B's first does; bubble
    (p − 1)(F + I − W). Also called ZB-1P.
    """
    p, m = layout.n_ranks, layout.n_micro_batches
    return [_delayed_weights(d, m, warm=p - d, delay=d) for d in range(p)]


def zb_h2(layout: Layout) -> Rows:
    """Warm up with 2(p − d) − 1 forwards, so that the first backward finds no idle device.

    Device d puts its weight parts off by 2d micro-batches and holds at most 2p − 1 activations;
    no bubble inside a device's window. Also called ZB-2P.
    """
    p, m = layout.n_ranks, layout.n_micro_batches
    return [_delayed_weights(d, m, warm=2 * (p - d) - 1, delay=2 * d) for d in range(p)]


def _delayed_weights(virtual: int, micro_batches: int, warm: int, delay: int) -> list[Entry]:
    """Warm-up forwards, then per micro-batch I, the W of ``delay`` micro-batches ago, and F."""
    warm = min(warm, micro_batches)
    row: list[Entry] = [("F", virtual, i) for i in range(warm)]
    for i in range(micro_batches):
        row.append(("I", virtual, i))
        if i >= delay:
            row.append(("W", virtual, i - delay))
        if i + warm < micro_batches:
            row.append(("F", virtual, i + warm))
    row.extend(("W", virtual, i) for i in range(max(0, micro_batches - delay), micro_batches))
    return row
