"""Warm-up counts: what memory allows, without arithmetic that overflows."""

import numpy as np
import pytest

from planner_core.baselines.warm_up import _warm_up_counts
from planner_core.workloads import pipeline
from tests.baselines.test_layout import layout_of


@pytest.mark.parametrize("memory", [None, 0.0, 1.0, 3.0, 1e300])
@pytest.mark.parametrize("activation", [0.0, 1e-300, 1.0])
@pytest.mark.parametrize("weights", [0.0, 2.0])
def test_counts_are_between_one_and_what_fits(memory, activation, weights):
    problem = pipeline(3, 8, activation=activation, weights=weights, memory=memory)
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        counts = list(_warm_up_counts(layout_of(problem, [[0, 1, 2]])))
    assert counts
    room = np.inf if memory is None else memory - weights
    most = 8 if activation == 0 or 8 * activation <= room else max(1, room / activation)
    for warm in counts:
        assert np.all(warm >= 1)
        assert np.all(warm <= most)
        assert np.all(np.diff(warm) <= 0)
