"""Building blocks keep slots apart, and squeezing keeps their peak memory."""

from __future__ import annotations

import numpy as np
import pytest

from planner_core.baselines.building_blocks import (
    BIDIRECTIONAL_FLOW,
    PERIOD,
    V_FLOW,
    rows_from_block,
    shortest_block,
)
from planner_core.baselines.layout import lay_out, view_of
from planner_core.workloads.pipeline import pipeline

FLOWS = {"v": V_FLOW, "bidirectional": BIDIRECTIONAL_FLOW}


def layout_of(placement, p, m):
    problem = pipeline(p, m, placement)
    down, up = list(range(p)), list(range(p - 1, -1, -1))
    routes = [down + up] if placement == "v" else [down, up]
    return lay_out(problem, view_of(problem), routes)


def peaks(rows):
    step = {"F": 1, "I": 0, "W": -1}
    return [int(np.cumsum([step[letter] for letter, *_ in row]).max()) for row in rows]


@pytest.mark.parametrize("placement", FLOWS)
@pytest.mark.parametrize("p", [2, 3, 5, 8])
@pytest.mark.parametrize(("down", "up"), [(4, 2), (2, 1), (1, 1)])
def test_a_block_can_be_repeated_every_period(placement, p, down, up):
    block = shortest_block(p, down, up, FLOWS[placement])
    assert block is not None
    for row in block % PERIOD:
        assert len(set(row.tolist())) == 4
    assert np.all(np.diff(block[:, 0]) == down)
    assert np.all(np.diff(block[:, 3]) == -up)


def test_legs_that_shift_against_each_other_by_every_slot_cannot_be_repeated():
    assert shortest_block(8, 3, 2, V_FLOW) is None


@pytest.mark.parametrize("placement", FLOWS)
@pytest.mark.parametrize("freed_by_input", [False, True])
def test_every_pass_runs_once_and_more_memory_is_used_if_given(placement, freed_by_input):
    p, m = 4, 12
    layout = layout_of(placement, p, m)
    block = shortest_block(p, 2, 1, FLOWS[placement])
    own = rows_from_block(layout, block, FLOWS[placement], None, freed_by_input)
    per_rank = 3 * m * (2 if placement == "v" else 1)
    for row in own:
        assert len(set(row)) == len(row) == per_rank
    if not freed_by_input:
        limit = max(peaks(own)) + 1
        more = rows_from_block(layout, block, FLOWS[placement], limit)
        assert max(peaks(own)) <= max(peaks(more)) <= limit
