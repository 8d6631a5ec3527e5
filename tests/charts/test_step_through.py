import pytest

from planner_core.baselines import run_baseline
from planner_core.charts import DARK, LIGHT, Entry, comparison
from planner_core.charts.step_through import show_instant
from planner_core.workloads import pipeline


def entry(name):
    problem = pipeline(3, 4)
    schedule = run_baseline(name, problem).schedule
    return Entry(key=name, title=name, problem=problem, schedule=schedule)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_running_operators_are_outlined_and_later_ones_veiled(theme):
    entries = [entry("1f1b"), entry("gpipe")]
    figure = comparison(entries, theme)
    before = len(figure.layout.shapes)
    show_instant(figure, entries, 1.0, theme)
    added = figure.layout.shapes[before:]
    outlines = [s for s in added if s.type == "rect" and s.line.width]
    assert {(s.yref, s.x0, s.x1, round(s.y0 + s.y1)) for s in outlines} == {
        ("y", 1, 2, 0), ("y", 1, 2, 2), ("y3", 1, 2, 0), ("y3", 1, 2, 2),
    }  # fmt: skip
    veils = [s for s in added if s.type == "rect" and not s.line.width]
    assert len(veils) == 2 * (3 + 1)
    assert {s.fillcolor for s in veils} == {theme.paper}
    starts = {(s.yref, round((s.y0 + s.y1) / 2, 1)): s.x0 for s in veils}
    assert starts["y", 0.0] == 2
    assert starts["y", 2.0] == 1
    assert starts["y2 domain", 0.5] == 1


def test_the_next_instant_replaces_the_last_and_none_shows_all():
    entries = [entry("1f1b")]
    figure = comparison(entries, LIGHT)
    whole = figure.to_json()
    show_instant(figure, entries, 2.0, LIGHT)
    marked = figure.to_json()
    show_instant(figure, entries, 5.0, LIGHT)
    assert figure.to_json() != marked
    show_instant(figure, entries, 2.0, LIGHT)
    assert figure.to_json() == marked
    show_instant(figure, entries, None, LIGHT)
    assert figure.to_json() == whole
