import threading
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.components import baselines, problems, sweep
from planner_core.baselines import run_baseline
from planner_core.formats.native import problem_document
from planner_core.problem import Objective
from planner_core.schedule import Plan, micro_batch_count
from planner_core.search.process import SolveProcess
from planner_core.search.progress import Options
from planner_core.workloads import pipeline

PAGE = str(Path(__file__).parents[2] / "pages" / "trade_off.py")


def test_the_page_shows_every_expert_schedule_at_once():
    app = AppTest.from_file(PAGE, default_timeout=60).run()
    assert not app.exception
    assert not app.error
    assert app.number_input(key="sweep/to/memory/bidirectional_8x20").value == 9
    points = sweep.experts(problems.sample_problem("bidirectional_8x20"), "memory", None, 60).points
    assert {(p.title, p.value) for p in points} >= {
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
    swept = sweep.Sweep(problem, "micro_batches", Options(), jobs)
    found = sweep.experts(problem, "micro_batches", swept, 60)
    points = found.points
    assert found.over
    assert found.made == found.count
    one = {p.limit: p.value for p in points if p.title == "1F1B"}
    assert one == {6.0: (6 + 3) * 3.0, 8.0: (8 + 3) * 3.0}


def test_expert_schedules_appear_as_they_are_made(monkeypatch):
    go_on = threading.Event()
    made = baselines.result

    def slow(name, problem):
        if name == "dualpipe":
            go_on.wait(60)
        return made(name, problem)

    monkeypatch.setattr(baselines, "result", slow)
    problem = sweep.AXES["memory"].change(problems.sample_problem("bidirectional_8x20"), 7)
    jobs = [(value, SolveProcess(problem, Options())) for value in (1.0, 2.0)]
    swept = sweep.Sweep(problem, "micro_batches", Options(), jobs)
    first = sweep.experts(problem, "micro_batches", swept, 0.5)
    assert not first.over
    assert 0 < len(first.points) <= first.made < first.count
    assert {point.limit for point in first.points} == {1.0}
    go_on.set()
    last = sweep.experts(problem, "micro_batches", swept, 60)
    assert last.over
    assert {point.limit for point in last.points} == {1.0, 2.0}


@pytest.fixture
def asked(monkeypatch):
    """Searches that a sweep asks for, in place of the queue."""
    found = []

    def start(problem, options, purpose):
        found.append((problem, options, purpose))
        return SolveProcess(problem, options)

    monkeypatch.setattr(sweep, "start", start)
    return found


def test_a_sweep_keeps_objective_budgets_and_merging(asked):
    goal = Objective(("makespan", "transfer"), {"peak_memory": 8.0})
    problem = replace(pipeline(4, 8, memory=9), objective=goal)
    options = Options(time_limit=7, merging="chains", merging_cap=3.0)
    for axis, value in (("memory", 6.0), ("micro_batches", 5.0), ("devices", 2.0)):
        made = sweep.start_sweep(problem, axis, [value], options)
        assert made.is_of(problem, axis, replace(options, time_limit=1))
        assert not made.is_of(problem, axis, Options(time_limit=7))
    assert [(p.objective, o, purpose) for p, o, purpose in asked] == [(goal, options, "sweep")] * 3


def test_the_page_sweeps_with_what_the_plan_page_says(asked):
    key = "bidirectional_8x20"
    app = AppTest.from_file(PAGE, default_timeout=60)
    said = {"objective": "period", "merging": "levels", "merging_cap": 4.0, "budget/transfer": 7.0}
    for name, value in said.items():
        app.session_state[f"{name}/{key}"] = value
    app.session_state[f"micro_batches/{key}"] = 10
    app.run()
    assert not app.exception
    assert any(
        "shortest period; transfer at most 7 activations; merging levels up to 4 ms" in c.value
        for c in app.caption
    )
    next(button for button in app.button if button.label == "Sweep").click().run()
    assert not app.exception
    problem, options, _ = asked[0]
    assert problem.objective == Objective(("period",), {"transfer": 7.0})
    assert micro_batch_count(problem) == 10
    assert (options.merging, options.merging_cap) == ("levels", 4.0)
    assert options.time_limit == app.number_input(key="sweep/seconds").value


def test_a_sweep_that_waits_is_stopped_at_once(asked):
    app = AppTest.from_file(PAGE, default_timeout=60).run()
    next(button for button in app.button if button.label == "Sweep").click().run()
    next(button for button in app.button if button.label == "Stop").click().run()
    assert not app.exception
    assert [button.label for button in app.button if button.label in ("Sweep", "Stop")] == ["Sweep"]


def test_a_memory_limit_is_not_swept_where_memory_is_minimised():
    key = "bidirectional_8x20"
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.session_state[f"sweep/axis/{key}"] = "memory"
    app.session_state[f"objective/{key}"] = "peak_memory"
    app.run()
    assert not app.exception
    choice = app.selectbox(key=f"sweep/axis/{key}")
    assert "memory limit" not in choice.options
    assert choice.value == "micro_batches"


def test_a_sweep_says_that_users_take_turns(monkeypatch):
    problem = pipeline(4, 8, memory=9)
    jobs = [(m, SolveProcess(problem, Options())) for m in (9.0, 8.0)]
    made = sweep.Sweep(problem, "memory", Options(), jobs)
    monkeypatch.setattr(sweep, "waiting_words", lambda job: f"turn {job is jobs[0][1]}")
    assert made.waiting() == "turn True"
    jobs[1][1]._known.state = "running"
    assert made.waiting() == ""


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
    found = sweep.Sweep(problem, "memory", Options(), jobs)
    assert [point.limit for point in sweep.plan_points(found)] == [9.0]
    assert found.failures() == [(0.5, "too little")]
    assert not found.running


def test_a_row_of_the_table_is_chosen_like_a_point(monkeypatch):
    points = sweep.experts(pipeline(4, 8, memory=9), "memory", None, 60).points
    state = {"points_table": {"selection": {"rows": [1]}}}
    monkeypatch.setattr(sweep.st, "session_state", state)
    assert sweep.chosen_point(points) == points[1].key
    clicked = {"selection": {"points": [{"customdata": [points[0].key, 0]}]}}
    monkeypatch.setattr(sweep.st, "session_state", state | {"frontier": clicked})
    assert sweep.chosen_point(points) == points[0].key
    gone = {"points_table": {"selection": {"rows": [len(points)]}}}
    monkeypatch.setattr(sweep.st, "session_state", gone)
    assert sweep.chosen_point(points) is None
