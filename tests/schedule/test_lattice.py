"""The common step divides every length, and is the largest that does."""

from fractions import Fraction
from math import gcd, lcm

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner_core.schedule.lattice import LARGEST_MULTIPLE, common_step

MULTIPLES = st.lists(st.integers(1, 1000), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("lengths", "step"),
    [
        ([4.0, 6.0, 10.0], 2.0),
        ([7.0], 7.0),
        ([0.0, 3.0, 3.0], 3.0),
        ([0.1, 0.3, 0.7], 0.1),
        ([0.75, 1.25], 0.25),
        ([1 / 3, 2 / 3, 5.0], 1 / 3),
        ([1 / 3, 0.5], 1 / 6),
        ([0.1 + 0.2, 0.3, 1.1], 0.1),
    ],
)
def test_known_steps(lengths, step):
    assert common_step(np.array(lengths)) == pytest.approx(step, rel=1e-12)


@pytest.mark.parametrize("lengths", [[], [0.0], [1.0, 2**0.5], [1.0, np.pi, 2.0], [1e-7, 1.0]])
def test_lengths_without_a_usable_step(lengths):
    assert common_step(np.array(lengths)) is None


@given(MULTIPLES, st.integers(1, 1000), st.integers(1, 1000))
def test_the_step_of_whole_multiples_is_their_greatest_common_divisor(counts, above, below):
    """Lengths k · p / q have the step gcd(k) · p / q, whatever p / q loses as a float."""
    step = common_step(np.array(counts) * (above / below))
    assert step == pytest.approx(gcd(*counts) * above / below, rel=1e-9)


@given(st.lists(st.fractions(0, 50, max_denominator=30), max_size=8))
def test_a_common_denominator_is_found(fractions):
    lengths = [float(f) for f in fractions]
    step = common_step(np.array(lengths))
    positive = [f for f in fractions if f > 0]
    if not positive:
        assert step is None
        return
    whole = lcm(*(f.denominator for f in positive))
    exact = Fraction(gcd(*(int(f * whole) for f in positive)), whole)
    if max(positive) / exact > LARGEST_MULTIPLE:
        assert step is None
    else:
        assert step == pytest.approx(float(exact), rel=1e-9)


@given(st.lists(st.floats(0, 1e6, allow_subnormal=False), max_size=8))
def test_a_step_that_is_claimed_divides_every_length(lengths):
    step = common_step(np.array(lengths))
    if step is not None:
        multiples = np.array(lengths) / step
        assert np.all(np.abs(multiples - np.round(multiples)) <= 1e-9 * np.maximum(1, multiples))
        assert np.round(multiples).max() <= LARGEST_MULTIPLE
