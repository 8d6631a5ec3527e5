"""Weight parts go into gaps, or where memory needs them."""

from __future__ import annotations

import numpy as np

from planner_core.baselines.families import time_rows
from planner_core.baselines.gap_filling import best_filling, without_weights
from planner_core.baselines.layout import lay_out, view_of
from planner_core.schedule import peak_memory
from planner_core.workloads.pipeline import pipeline


def layout_of(problem, p):
    return lay_out(problem, view_of(problem), [list(range(p))])


def rows_of(p, m):
    """Warm up with p − d forwards; weight parts last."""
    rows = []
    for d in range(p):
        row = [("F", d, i) for i in range(min(m, p - d))]
        for i in range(m):
            row.append(("I", d, i))
            if i + p - d < m:
                row.append(("F", d, i + p - d))
        rows.append(row + [("W", d, i) for i in range(m)])
    return rows


def test_weights_fill_gaps_and_the_rest_of_the_order_stays():
    layout = layout_of(pipeline(3, 6), 3)
    rows = rows_of(3, 6)
    filled = best_filling(layout, [without_weights(rows)])
    for before, after in zip(rows, filled, strict=True):
        assert sorted(after) == sorted(before)
        assert [a for a in after if a[0] != "W"] == [a for a in before if a[0] != "W"]
    assert time_rows(layout, filled)[1].makespan < time_rows(layout, rows)[1].makespan


def test_memory_forces_weights_before_forwards():
    problem = pipeline(3, 6, memory=3)
    layout = layout_of(problem, 3)
    filled = best_filling(layout, [without_weights(rows_of(3, 6))])
    assert peak_memory(problem, time_rows(layout, filled)[1]) <= 3
    loose = layout_of(pipeline(3, 6), 3)
    makespan = time_rows(loose, best_filling(loose, [without_weights(rows_of(3, 6))]))[1].makespan
    assert time_rows(layout, filled)[1].makespan >= makespan


def test_an_order_that_memory_blocks_for_good_is_refused():
    layout = layout_of(pipeline(3, 6, memory=2), 3)
    assert best_filling(layout, [without_weights(rows_of(3, 6))]) is None


def test_sequences_hold_forwards_and_backward_inputs_only():
    sequences = without_weights(rows_of(2, 3))
    assert sequences.shape == (2, 6, 3)
    assert np.array_equal(np.bincount(sequences[0, :, 0]), [3, 3])
