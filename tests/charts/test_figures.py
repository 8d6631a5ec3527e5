import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from planner_core.analysis.idle_causes import CAUSES, idle_causes
from planner_core.analysis.table import Compared
from planner_core.baselines import run_baseline
from planner_core.charts import (
    DARK,
    LIGHT,
    Entry,
    FrontierPoint,
    comparison,
    convergence,
    frontier,
    idle_causes_chart,
)
from planner_core.charts.frontier import same_place
from planner_core.charts.idle import _LOOKS
from planner_core.charts.memory import MOST_POINTS, memory_chart, steps
from planner_core.charts.report import report
from planner_core.charts.theme import KIND_COLOURS, ink, shade
from planner_core.problem import KINDS
from planner_core.schedule import MemoryProfile, Plan, memory_profiles
from planner_core.workloads import pipeline

PROBLEM = pipeline(4, 8, "bidirectional", memory=5)


def entry(name):
    found = run_baseline(name, PROBLEM)
    return Entry(
        key=name, title=found.title, problem=found.problem, schedule=found.schedule, note="note"
    )


def test_comparison_shares_one_time_axis():
    entries = [entry("1f1b"), entry("dualpipe"), entry("dualpipe-sequential")]
    figure = comparison(entries)
    axes = [figure.layout[name] for name in figure.to_dict()["layout"] if name.startswith("xaxis")]
    assert len(axes) == 6
    assert sum(axis.matches is None for axis in axes) == 1
    longest = max(e.schedule.makespan for e in entries)
    assert axes[0].range[1] == pytest.approx(longest, rel=0.01)
    titles = " ".join(a.text for a in figure.layout.annotations)
    assert all(e.title in titles for e in entries)


def test_panels_do_not_overlap():
    figure = comparison([entry("1f1b"), entry("dualpipe")])
    layout = figure.to_dict()["layout"]
    domains = sorted(layout[name]["domain"] for name in layout if name.startswith("yaxis"))
    assert all(a[1] < b[0] for a, b in pairwise(domains))
    assert domains[0][0] >= 0
    assert domains[-1][1] <= 1


def test_legend_names_each_kind_once():
    figure = comparison([entry("1f1b"), entry("dualpipe")])
    shown = [trace.name for trace in figure.data if trace.showlegend]
    assert sorted(shown) == ["backward-input", "backward-weight", "forward"]


def test_names_of_devices_have_the_colour_of_their_memory_line():
    found = run_baseline("dualpipe", PROBLEM)
    entry = Entry(key="a", title="A", problem=found.problem, schedule=found.schedule)
    figure = comparison([entry])
    lines = {trace.name: trace.line.color for trace in figure.data if trace.type == "scatter"}
    for device, shown in zip(PROBLEM.cluster.device_ids, figure.layout.yaxis.ticktext, strict=True):
        assert shown.startswith(device)
        assert lines[device] in shown
    assert list(comparison([entry], memory=False).layout.yaxis.ticktext) == [
        *PROBLEM.cluster.device_ids
    ]


def test_memory_lines_reach_the_peak_and_the_limit_is_drawn():
    found = run_baseline("dualpipe", PROBLEM)
    figure = memory_chart(found.problem, found.schedule)
    lines = [trace for trace in figure.data if trace.line.dash is None]
    peaks = [profile.peak for profile in memory_profiles(found.problem, found.schedule)]
    assert [max(trace.y) for trace in lines] == peaks
    limit = next(trace for trace in figure.data if trace.line.dash == "dash")
    assert set(limit.y) == {5.0}


def test_thinned_profiles_keep_their_peak():
    time = np.arange(20_000.0)
    used = np.zeros(20_000)
    used[12_345] = 7.0
    x, y = steps(MemoryProfile(time, used), 20_000.0)
    assert len(x) == len(y) == MOST_POINTS + 1
    assert y.max() == 7.0


def test_convergence_holds_the_last_values_until_now():
    figure = convergence([(0.1, None, 60.0), (0.5, 66.0, 60.0), (1.0, 63.0, 63.0)], now=2.0)
    incumbent, bound, gap = figure.data
    assert gap.y == pytest.approx((6 / 66, 0.0, 0.0))
    assert (incumbent.x[-1], incumbent.y[-1]) == (2.0, 63.0)
    assert (bound.x[0], bound.y[0]) == (0.1, 60.0)


def test_the_gap_has_round_ticks_and_a_title_like_the_others():
    figure = convergence([(0.5, 66.0, 60.0)])
    assert figure.layout.yaxis2.tickmode == "auto"
    assert figure.layout.yaxis2.title.font == figure.layout.yaxis.title.font


@pytest.mark.parametrize(("early", "seen"), [(96.0, True), (5.0, False)])
def test_bounds_on_their_way_up_are_seen_unless_they_squeeze_the_rest(early, seen):
    points = [(0.1, 240.0, early), (0.5, 169.0, early), (1.0, 151.0, 110.0)]
    low, high = convergence(points).layout.yaxis.range
    assert (low < early) == seen
    assert low < 110.0 < 240.0 < high


def test_no_memory_is_the_left_end_of_the_frontier():
    figure = frontier([FrontierPoint(key="a", title="a", peak_memory=0.0, value=3.0)])
    left, right = figure.layout.xaxis.range
    assert -0.1 < left < 0 < right


def test_convergence_without_anything_found():
    assert len(convergence([]).data) == 0


def test_frontier_draws_every_point_and_tells_proof_apart():
    points = [
        FrontierPoint(key="a", title="plan", peak_memory=4, value=67, kind="optimal", limit=4),
        FrontierPoint(key="b", title="plan", peak_memory=5, value=66, kind="feasible", limit=5),
        FrontierPoint(key="c", title="1F1B", peak_memory=8, value=81, kind="baseline"),
    ]
    figure = frontier(points)
    keys = [data[0] for trace in figure.data if trace.customdata is not None
            for data in trace.customdata]  # fmt: skip
    assert sorted(keys) == ["a", "b", "c"]
    assert [trace.name for trace in figure.data if trace.name] == [
        "expert schedule",
        "plan, proved optimal",
        "plan, not proved",
    ]


def test_points_at_one_place_are_found_together_the_plan_first():
    points = [
        FrontierPoint(key="a", title="HEFT", peak_memory=8, value=72, kind="baseline"),
        FrontierPoint(key="b", title="CPOP", peak_memory=8, value=72, kind="baseline"),
        FrontierPoint(key="c", title="1F1B", peak_memory=8, value=81, kind="baseline"),
        FrontierPoint(key="d", title="plan", peak_memory=7, value=72, kind="optimal", limit=8),
    ]
    assert [point.key for point in same_place(points, "b")] == ["d", "b", "a"]
    assert [point.key for point in same_place(points, "c")] == ["c"]
    assert same_place(points, "nothing") == []


def test_causes_of_idle_time_differ_without_colour():
    assert len({shape for _, shape in _LOOKS.values()} - {""}) == 3
    assert set(_LOOKS) == set(CAUSES)
    assert not {colour for colour, _ in _LOOKS.values()} & {
        KIND_COLOURS[kind][0] for kind in ("forward", "backward_input", "backward_weight")
    }


def test_idle_chart_adds_up_to_the_idle_time():
    found = run_baseline("1f1b", PROBLEM)
    gaps = idle_causes(found.problem, found.schedule)
    figure = idle_causes_chart(found.problem, gaps)
    assert {trace.name for trace in figure.data} <= set(CAUSES)
    drawn = sum(sum(trace.x) for trace in figure.data)
    assert drawn == pytest.approx(sum(gap.end - gap.start for gap in gaps))


def test_report_loads_nothing_and_escapes_names():
    chosen = [entry("1f1b")]
    rows = [Compared(title="<b>1F1B</b>", problem=chosen[0].problem, schedule=chosen[0].schedule)]
    page = report(PROBLEM, chosen, rows)
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", page)
    assert "<td><b>1F1B</b></td>" not in page
    assert "&lt;b&gt;1F1B&lt;/b&gt;" in page


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_can_be_read_on_every_colour(kind):
    assert kind in KIND_COLOURS
    for index in range(4):
        colour = shade(kind, index, 4)
        assert contrast(colour, ink(colour)) >= 4.5


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_text_can_be_read_on_the_page(theme):
    for colour in (theme.text, theme.muted, theme.accent, theme.limit, theme.good):
        assert contrast(colour, theme.paper) >= 4.5


def test_report_says_where_durations_come_from():
    about = "Durations: roofline of H100 & NVLink 4"
    chosen = [entry("1f1b")]
    rows = [Compared(title="1F1B", problem=chosen[0].problem, schedule=chosen[0].schedule)]
    assert "roofline of H100 &amp; NVLink 4" in report(PROBLEM, chosen, rows, about=about)
    assert "<th>about</th>" not in report(PROBLEM, chosen, rows)


def test_report_states_proof_settings_and_search():
    schedule = run_baseline("gpipe", PROBLEM).schedule
    rows = [Compared(title="plan", problem=PROBLEM, schedule=schedule)]
    chosen = [entry("gpipe")]
    plan = Plan(problem=PROBLEM, status="optimal", schedule=schedule, value=schedule.makespan,
                lower_bound=schedule.makespan, proved_by="device <load> bound")  # fmt: skip
    page = report(PROBLEM, chosen, rows, plan=plan, history=[(0.0, 40.0, 1.0), (1.0, 39.0, 39.0)])
    assert "proved optimal by the device &lt;load&gt; bound" in page
    assert "memory limit (activations)</th><td>5</td>" in page
    assert page.count("plotly-graph-div") == 2
    feasible = replace(plan, status="feasible", lower_bound=1.0)
    assert "optimal by" not in report(PROBLEM, chosen, rows, plan=feasible)
    nothing = Plan(problem=PROBLEM, status="infeasible", reason="too little memory")
    assert "too little memory" in report(PROBLEM, chosen, rows, plan=nothing)


def test_a_thumbnail_is_svg_and_names_are_escaped():
    from xml.etree import ElementTree

    from planner_core.charts.thumbnail import MOST_CELLS, thumbnail

    schedule = run_baseline("gpipe", PROBLEM).schedule
    tree = ElementTree.fromstring(thumbnail(PROBLEM, schedule, label='<a & "b">\x00'))
    assert tree.get("aria-label") == '<a & "b">'
    assert len(tree) == PROBLEM.graph.n_operators + PROBLEM.n_devices
    big = pipeline(8, 200)
    tree = ElementTree.fromstring(thumbnail(big, run_baseline("gpipe", big).schedule))
    assert len(tree) <= MOST_CELLS + 8
