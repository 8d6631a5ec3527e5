import numpy as np
import pytest

from planner_core.analysis.table import Compared
from planner_core.baselines import run_baseline
from planner_core.charts import DARK, LIGHT, Entry, comparison
from planner_core.charts.cells import labels, shades
from planner_core.charts.gantt import (
    COLOURINGS,
    MOST_BARS,
    MOST_WRITTEN,
    gantt,
    label_size,
    visible,
)
from planner_core.charts.overview import busy_shares
from planner_core.charts.report import report
from planner_core.charts.rows import rows
from planner_core.problem import Problem, build_cluster, build_graph
from planner_core.schedule import Schedule
from planner_core.workloads import pipeline


def scheduled(name, *shape, **more):
    problem = pipeline(*shape, **more)
    return problem, run_baseline(name, problem).schedule


def cells(figure):
    return [trace for trace in figure.data if trace.type == "bar" and trace.customdata is not None]


@pytest.mark.parametrize("colour_by", COLOURINGS)
@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_one_cell_an_operator_where_and_when_it_runs(colour_by, theme):
    problem, schedule = scheduled("dualpipe", 4, 8, "bidirectional")
    seen = {}
    for trace in cells(gantt(problem, schedule, theme, colour_by=colour_by)):
        for y, base, length, (_, o) in zip(
            trace.y, trace.base, trace.x, trace.customdata, strict=True
        ):
            seen[int(o)] = (y, base, base + length)
    assert len(seen) == problem.graph.n_operators
    for o, (y, start, finish) in seen.items():
        assert (y, start, finish) == (
            schedule.device[o],
            schedule.start[o],
            schedule.finish[o],
        )


def test_every_cell_has_a_hover_and_a_number():
    problem, schedule = scheduled("1f1b", 4, 8)
    figure = gantt(problem, schedule)
    written = [t for trace in figure.data if trace.type == "scatter" for t in trace.text]
    assert sorted(written) == sorted(labels(problem))
    assert all(hover for trace in cells(figure) for hover in trace.hovertext)


def test_numbers_too_large_for_their_cells_are_left_to_the_zoom():
    problem, schedule = scheduled("1f1b", 4, 120)
    assert label_size(problem, schedule, schedule.makespan) is None
    figure = gantt(problem, schedule)
    assert {trace.textposition for trace in cells(figure)} == {"inside"}
    assert figure.layout.uniformtext.mode == "hide"


def test_very_many_cells_write_nothing_and_the_report_says_so():
    problem, schedule = scheduled("1f1b", 4, MOST_WRITTEN // 12 + 1)
    figure = gantt(problem, schedule)
    assert {trace.textposition for trace in cells(figure)} == {"none"}
    shown = Entry(key="a", title="a", problem=problem, schedule=schedule)
    row = Compared(title="a", problem=problem, schedule=schedule)
    assert "numbers are left out" in report(problem, [shown], [row])


def test_directions_and_chunks_have_shades():
    for shape, count in (
        ((4, 8, "linear"), 1),
        ((4, 8, "bidirectional"), 2),
        ((4, 8, "v"), 2),
    ):
        name = {"linear": "1f1b", "bidirectional": "dualpipe", "v": "zb-v"}[shape[2]]
        problem, schedule = scheduled(name, *shape)
        shade, found = shades(problem, schedule)
        assert found == count
        assert set(np.unique(shade)) == set(range(count))


def test_highlight_is_outlined_and_the_rest_pale():
    problem, schedule = scheduled("1f1b", 2, 2)
    figure = gantt(problem, schedule, highlight=[0, 3])
    assert len(figure.data[-1].x) == 2
    opacity = {
        int(o): value
        for trace in cells(figure)
        for (_, o), value in zip(trace.customdata, trace.marker.opacity, strict=True)
    }
    assert opacity[0] == opacity[3] == 1.0
    assert opacity[1] < 0.5


def test_streams_have_rows_of_their_own():
    operators = [
        {"id": "A", "duration": 1, "devices": ["a"]},
        {"id": "N", "duration": 1, "devices": ["a"], "stream": "network", "kind": "all_to_all"},
    ]
    problem = Problem(
        template=build_graph(operators), cluster=build_cluster([{"id": "a"}, {"id": "b"}])
    )
    schedule = Schedule(device=np.zeros(2, dtype=np.int32), start=np.zeros(2), finish=np.ones(2))
    names, row = rows(problem, schedule)
    assert names == ["a", "· network", "b"]
    assert row.tolist() == [0, 1]


def test_many_operators_are_drawn_as_an_overview():
    problem, schedule = scheduled("gpipe", 8, 220)
    assert problem.graph.n_operators > MOST_BARS
    figure = gantt(problem, schedule)
    assert [trace.type for trace in figure.data] == ["bar", "heatmap"]


def test_busy_shares_add_up_to_the_busy_time():
    _, schedule = scheduled("1f1b", 3, 5, forward=1.3)
    share = busy_shares(schedule, schedule.device, 3, cells=17)
    busy = share.sum(axis=1) * schedule.makespan / 17
    np.testing.assert_allclose(busy, np.full(3, 5 * 3.3))


def test_a_window_draws_what_runs_in_it_and_nothing_else():
    problem = pipeline(4, 8)
    schedule = run_baseline("gpipe", problem).schedule
    inside = visible(schedule, (5.0, 9.0))
    assert 0 < inside.sum() < problem.graph.n_operators
    entry = Entry(key="a", title="a", problem=problem, schedule=schedule)
    figure = comparison([entry], window=(5.0, 9.0))
    drawn = {point[1] for trace in figure.data for point in (trace.customdata or ())}
    assert drawn == set(np.flatnonzero(inside).tolist())
    assert tuple(figure.layout.xaxis.range) == (5.0, 9.0)


def test_a_short_window_of_a_large_schedule_has_bars():
    problem = pipeline(8, 300)
    schedule = run_baseline("1f1b", problem).schedule
    assert problem.graph.n_operators > MOST_BARS
    entry = Entry(key="a", title="a", problem=problem, schedule=schedule)
    assert any(trace.type == "heatmap" for trace in comparison([entry]).data)
    zoomed = comparison([entry], window=(100.0, 200.0))
    assert not any(trace.type == "heatmap" for trace in zoomed.data)
