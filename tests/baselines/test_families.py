"""Expert schedules hit the published numbers exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_core.baselines import REGISTRY, run_baseline
from planner_core.problem import NotApplicable
from planner_core.schedule import memory_profiles, peak_memory, validate
from planner_core.workloads.pipeline import pipeline


def makespan(name, problem, **more):
    return run_baseline(name, problem, **more).schedule.makespan


def peak(name, problem):
    result = run_baseline(name, problem)
    return peak_memory(result.problem, result.schedule)


def window_share(name, problem):
    """1 − busy / window of the device with the longest window."""
    result = run_baseline(name, problem)
    schedule = result.schedule
    windows = []
    for k in range(problem.n_devices):
        mine = schedule.device == k
        start, finish = schedule.start[mine], schedule.finish[mine]
        window = finish.max() - start.min()
        windows.append((window, 1 - (finish - start).sum() / window))
    return max(windows)[1]


def bidirectional(p=8, m=20, f=1, i=1, w=1, transfer=0, memory=None, released=0.0):
    return pipeline(
        p,
        m,
        "bidirectional",
        forward=f,
        backward_input=i,
        backward_weight=w,
        transfer=transfer,
        memory=memory,
        released_by_input=released,
    )


@pytest.mark.parametrize(
    ("name", "p", "m", "expected"),
    [
        ("1f1b", 4, 8, 33),
        ("1f1b", 8, 20, 81),
        ("zb-h1", 4, 8, 27),
        ("zb-h1", 8, 20, 67),
        ("zb-1p", 8, 20, 67),
        ("zb-greedy", 4, 8, 27),
    ],
)
def test_published_makespans_of_linear_pipelines(name, p, m, expected):
    assert makespan(name, pipeline(p, m, memory=p)) == expected


@pytest.mark.parametrize(
    ("name", "m", "more", "expected"),
    [
        ("dualpipe", 20, {}, 66),
        ("dualpipe", 20, {"overlapped_pair": 3.0}, 66),
        ("dualpipe", 40, {}, 126),
        ("dualpipe", 20, {"overlapped_pair": 2.5}, 59),
        ("dualpipe-sequential", 20, {}, 63),
        ("dualpipe-sequential", 20, {"split_backward": True}, 63),
    ],
)
def test_published_makespans_of_dualpipe(name, m, more, expected):
    assert makespan(name, bidirectional(m=m), **more) == expected


def test_dualpipev_on_four_devices():
    assert makespan("dualpipev", pipeline(4, 10, "v")) == 66


@pytest.mark.parametrize(
    ("costs", "blocks", "one_by_one"), [((5, 6, 4, 0), 336, 321), ((5, 7, 3, 1), 372, 348)]
)
@pytest.mark.parametrize("released", [0.0, 1.0])
def test_dualpipe_with_unequal_costs_within_memory(costs, blocks, one_by_one, released):
    problem = bidirectional(8, 20, *costs, memory=9, released=released)
    for name, expected in (("dualpipe", blocks), ("dualpipe-sequential", one_by_one)):
        result = run_baseline(name, problem)
        assert result.schedule.makespan == expected
        assert result.fits
        assert result.problem is problem


def test_splitting_the_backward_of_dualpipes_order_frees_its_gradient_earlier():
    problem = bidirectional(8, 20, 5, 7, 3, 1)
    assert makespan("dualpipe-sequential", problem, split_backward=True) == 343


@given(
    p=st.integers(2, 9),
    extra=st.integers(0, 12),
    costs=st.tuples(*[st.integers(1, 5)] * 3),
)
@settings(max_examples=30, deadline=None)
def test_bubble_formulas_of_linear_pipelines(p, extra, costs):
    m = 2 * p + extra
    f, i, w = costs
    work = m * (f + i + w)
    problem = pipeline(p, m, forward=f, backward_input=i, backward_weight=w)
    assert makespan("1f1b", problem) == work + (p - 1) * (f + i + w)
    assert makespan("gpipe", problem) == work + (p - 1) * (f + i + w)
    even = pipeline(p, m, forward=f, backward_input=f, backward_weight=f)
    # (p − 1)(F + I − W); textbooks write B for I + W: (p − 1)(F + B − 2W).
    assert makespan("zb-h1", even) == 3 * m * f + (p - 1) * f
    assert window_share("zb-h2", even) == pytest.approx(0)


@pytest.mark.parametrize("p", range(2, 13))
def test_activation_peaks_of_linear_pipelines(p):
    problem = pipeline(p, 2 * p + 3)
    result = run_baseline("1f1b", problem)
    profiles = memory_profiles(problem, result.schedule)
    assert [profile.peak for profile in profiles] == [p - d for d in range(p)]
    assert peak("zb-h1", problem) == p
    assert peak("zb-h2", problem) == 2 * p - 1
    assert peak("gpipe", problem) == 2 * p + 3


@pytest.mark.parametrize("p", [2, 4, 6, 8, 10])
@pytest.mark.parametrize("half", [2, 3])
@pytest.mark.parametrize("released", [0.0, 1.0])
def test_dualpipe_bubble_and_activations_over_ranges(p, half, released):
    m = 2 * p * half // 2
    problem = bidirectional(p, m, released=released)
    pair = 3
    assert makespan("dualpipe", problem) == 3 * m + (p / 2 - 1) * (pair + 2 - 3)
    result = run_baseline("dualpipe", problem)
    profiles = memory_profiles(problem, result.schedule)
    assert [profile.peak for profile in profiles] == [p + 1] * p


@pytest.mark.parametrize("pair", [2.0, 2.25, 2.5, 3.0])
def test_an_overlapped_pair_shortens_dualpipe_as_its_formula_says(pair):
    m, p = 20, 8
    result = run_baseline("dualpipe", bidirectional(), overlapped_pair=pair)
    schedule = result.schedule
    assert (len(schedule.overlapped) > 0) == (pair < 3)
    assert result.fits == (pair == 3)
    assert not validate(result.problem, schedule, allow_overlapped=True)
    # Pairs on the busiest device: all but its warm-up and its cool-down.
    if pair < 3:
        assert "outside the problem model" in result.reason
        assert schedule.makespan < 66
    assert schedule.makespan >= m * (1 + pair) / 2 + p / 2


def test_dualpipev_is_dualpipe_cut_in_half():
    for p, m in ((2, 6), (3, 9), (4, 10), (5, 12)):
        problem = pipeline(p, m, "v")
        assert makespan("dualpipev", problem) == 6 * m + (p - 1) * (3 + 2 - 3)
        assert peak("dualpipev", problem) == 2 * p + 1


@pytest.mark.parametrize("p", range(2, 13))
def test_v_schedules_activations_and_bubbles(p):
    m = 3 * p
    problem = pipeline(p, m, "v")
    stages = {"zb-v": p, "v-half": (p + 2) // 2, "v-min": (p + 4) // 3}
    for name, expected in stages.items():
        assert peak(name, problem) == 2 * expected
    # Bubbles relative to 1F1B's 6(p − 1): 0, 1/2 and 2/3, the last two up to a constant.
    assert window_share("zb-v", problem) == pytest.approx(0)
    assert makespan("zb-v", problem) == 6 * m + p - 1
    assert abs(makespan("v-half", problem) - 6 * m - 3 * (p - 1)) <= 4
    assert abs(makespan("v-min", problem) - 6 * m - 4 * (p - 1)) <= 3


@pytest.mark.parametrize(
    ("p", "m", "costs", "hidden", "heads", "shares"),
    [
        (8, 24, (18522, 18086, 9337, 601), 2304, 24, (0.2431, 0.1585, 0.0433)),
        (16, 48, (11347, 11248, 8132, 377), 5120, 40, (0.2552, 0.1397, 0.0066)),
    ],
)
def test_profiled_window_shares_of_the_zero_bubble_authors(p, m, costs, hidden, heads, shares):
    f, i, w, transfer = costs
    sequence = 1024
    released = 1 - 32 * hidden / (34 * hidden + 5 * heads * sequence)

    def problem(memory):
        return pipeline(
            p,
            m,
            forward=f,
            backward_input=i,
            backward_weight=w,
            transfer=transfer,
            memory=memory,
            released_by_input=released,
        )

    assert round(window_share("1f1b", problem(None)), 4) == shares[0]
    assert round(window_share("zb-greedy", problem(p)), 4) == shares[1]
    assert round(window_share("zb-greedy", problem(2 * p)), 4) == shares[2]
    assert run_baseline("zb-greedy", problem(p)).fits


@pytest.mark.parametrize("chunks", [2, 3])
@pytest.mark.parametrize(("p", "m"), [(2, 4), (4, 8), (4, 4), (3, 9)])
def test_interleaving_divides_the_bubble_by_the_chunks(p, m, chunks):
    problem = pipeline(p, m, "interleaved", chunks=chunks)
    result = run_baseline("interleaved-1f1b", problem)
    assert result.fits
    assert result.schedule.makespan == 3 * m * chunks + 3 * (p - 1)


@pytest.mark.parametrize(("p", "units"), [(2, 1), (4, 1), (4, 3), (8, 1), (8, 2)])
def test_chimera_has_p_minus_2_bubbles_with_equal_passes(p, units):
    m = p * units
    problem = pipeline(p, m, "bidirectional", backward=1.0)
    assert makespan("chimera", problem) == 2 * m + p - 2
    assert peak("chimera", problem) <= p


@pytest.mark.parametrize("p", [2, 4, 8])
def test_hanayo_beats_1f1b_on_one_wave_per_device(p):
    problem = pipeline(p, p, "v", backward=2.0)
    assert makespan("hanayo", problem) < makespan("1f1b", problem)
    assert peak("hanayo", problem) <= 2 * p


NAMES = [baseline.name for baseline in REGISTRY]


@given(
    name=st.sampled_from(NAMES),
    placement=st.sampled_from(["linear", "interleaved", "v", "bidirectional"]),
    p=st.integers(1, 4),
    m=st.integers(1, 9),
    costs=st.tuples(*[st.floats(0.1, 5.0)] * 3),
    transfer=st.sampled_from([0.0, 0.7]),
    fused=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=150, deadline=None)
def test_whatever_runs_is_a_valid_schedule_with_any_costs(
    name, placement, p, m, costs, transfer, fused, seed
):
    stages = p * (2 if placement in ("v", "interleaved") else 1)
    rng = np.random.default_rng(seed)
    values = [(cost * rng.uniform(0.5, 2.0, stages)).tolist() for cost in costs]
    problem = pipeline(
        p,
        m,
        placement,
        forward=values[0],
        backward_input=values[1],
        backward_weight=values[2],
        backward=values[1] if fused else None,
        transfer=transfer,
    )
    try:
        result = run_baseline(name, problem)
    except NotApplicable:
        return
    assert not validate(result.problem, result.schedule)
    assert result.fits == (not result.own_placement)
    assert result.fits == (not validate(problem, result.schedule))
