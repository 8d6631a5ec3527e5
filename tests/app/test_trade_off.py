from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.components import problems, sweep
from planner_core.baselines import run_baseline
from planner_core.formats.native import problem_document
from planner_core.schedule import Plan
from planner_core.search.process import SolveProcess
from planner_core.search.progress import Options
from planner_core.workloads import pipeline

PAGE = str(Path(__file__).parents[2] / "pages" / "trade_off.py")


def test_the_page_shows_every_expert_schedule_at_once():
    app = AppTest.from_file(PAGE, default_timeout=60).run()
    assert not app.exception
    assert not app.error
    assert app.number_input(key="sweep/to/memory/bidirectional_8x20").value == 9
    points = sweep.baseline_points(problems.sample_problem("bidirectional_8x20"))
    assert {(p.title, p.makespan) for p in points} >= {
        ("1F1B", 81.0),
        ("DualPipe (blocks)", 66.0),
        ("DualPipe (sequential)", 63.0),
    }


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (4, 9, 6, [9, 8, 7, 6, 5, 4]),
        (4, 6, 9, [6, 5, 4]),
        (9, 4, 2, [9, 4]),
        (0.5, 1.0, 3, [1.0, 0.75, 0.5]),
    ],
)
def test_limits(low, high, count, expected):
    assert sweep.values_between(low, high, count) == expected


def test_whole_values_stay_whole():
    assert sweep.values_between(1, 4, 6, whole=True) == [4, 3, 2, 1]


@pytest.mark.parametrize(
    ("axis", "value", "wanted"),
    [
        ("memory", 3.0, pipeline(4, 8, memory=3, name="p")),
        ("micro_batches", 5.0, pipeline(4, 5, memory=9, name="p")),
        ("devices", 6.0, pipeline(6, 8, memory=9, name="p")),
        ("transfer_time", 0.5, pipeline(4, 8, memory=9, transfer=0.5, name="p")),
    ],
)
def test_an_axis_changes_the_problem(axis, value, wanted):
    changed = sweep.AXES[axis].change(pipeline(4, 8, memory=9, name="p"), value)
    assert problem_document(changed) == problem_document(wanted)


@pytest.mark.parametrize("axis", list(sweep.AXES))
def test_every_axis_opens(axis):
    app = AppTest.from_file(PAGE, default_timeout=60).run()
    app.selectbox(key="sweep/axis/bidirectional_8x20").select(axis).run()
    assert not app.exception
    assert not app.error


def test_devices_are_offered_for_pipelines_only():
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.session_state["problem"] = "small_graph"
    app.run()
    assert "devices" not in app.selectbox(key="sweep/axis/small_graph").options


def test_baselines_of_every_value_stand_at_it():
    problem = pipeline(4, 8, memory=9)
    jobs = [
        (float(m), SolveProcess(sweep.AXES["micro_batches"].change(problem, m), Options()))
        for m in (6, 8)
    ]
    points = sweep.swept_baselines(sweep.Sweep(problem, "micro_batches", jobs))
    one = {p.limit: p.makespan for p in points if p.title == "1F1B"}
    assert one == {6.0: (6 + 3) * 3.0, 8.0: (8 + 3) * 3.0}


def finished(problem, plan):
    job = SolveProcess(problem, Options())
    job._known.plan = plan
    job.finished.set()
    return job


def test_points_are_valid_plans_only():
    problem = pipeline(4, 8, memory=9)
    good = run_baseline("1f1b", problem).schedule
    tight = problem.with_memory(1)
    jobs = [
        (
            9.0,
            finished(
                problem,
                Plan(problem=problem, status="feasible", schedule=good, value=good.makespan),
            ),
        ),
        (
            1.0,
            finished(
                tight, Plan(problem=tight, status="feasible", schedule=good, value=good.makespan)
            ),
        ),
        (0.5, finished(tight, Plan(problem=tight, status="infeasible", reason="too little"))),
    ]
    found = sweep.Sweep(problem, "memory", jobs)
    assert [point.limit for point in sweep.plan_points(found)] == [9.0]
    assert found.failures() == [(0.5, "too little")]
    assert not found.running


def test_a_row_of_the_table_is_chosen_like_a_point(monkeypatch):
    points = sweep.baseline_points(pipeline(4, 8, memory=9))
    state = {"points_table": {"selection": {"rows": [1]}}}
    monkeypatch.setattr(sweep.st, "session_state", state)
    assert sweep.chosen_point(points) == points[1].key
    clicked = {"selection": {"points": [{"customdata": [points[0].key, 0]}]}}
    monkeypatch.setattr(sweep.st, "session_state", state | {"frontier": clicked})
    assert sweep.chosen_point(points) == points[0].key
    gone = {"points_table": {"selection": {"rows": [len(points)]}}}
    monkeypatch.setattr(sweep.st, "session_state", gone)
    assert sweep.chosen_point(points) is None
