import json

import pytest

from pages.components import problems, solves
from planner_core.baselines import run_baseline
from planner_core.formats.native import problem_document
from planner_core.problem import InputError
from planner_core.schedule import Plan
from planner_core.workloads import pipeline


def texts(elements):
    return " ".join(str(element.value) for element in elements)


def with_plan(app, plan, error=None):
    app.session_state["plans"] = [solves.Kept("Plan 1", plan, [], error)]
    return app.run()


def dualpipe_plan(**more):
    problem = problems.with_settings(
        problems.sample_problem("bidirectional_8x20"), None, "makespan", None
    )
    schedule = run_baseline("dualpipe-sequential", problem).schedule
    return Plan(problem=problem, schedule=schedule, value=63.0, seconds=1.0, **more)


def test_first_page_shows_the_default_sample_with_expert_schedules(app):
    assert not app.exception
    assert not app.error
    assert app.selectbox(key="problem").value == "bidirectional_8x20"
    table = app.dataframe[0].value
    assert table["schedule"].tolist() == ["1F1B", "DualPipe (blocks)", "DualPipe (sequential)"]
    assert table["makespan"].tolist() == [81, 66, 63]
    assert table["fits"].tolist() == ["no", "yes", "yes"]


@pytest.mark.parametrize("key", [source.key for source in problems.samples()])
def test_every_sample_opens(app, key):
    app.selectbox(key="problem").select(key).run()
    assert not app.exception
    assert not app.error


def test_an_optimal_plan_names_its_proof(app):
    with_plan(app, dualpipe_plan(status="optimal", lower_bound=63.0, proved_by="device load bound"))
    assert "optimal, proved by the device load bound" in texts(app.success)
    assert app.dataframe[0].value["schedule"].tolist()[0] == "Plan 1"
    assert app.dataframe[0].value["difference"].tolist() == [0, 18, 3, 0]


def test_a_plan_without_proof_is_never_called_optimal(app):
    with_plan(app, dualpipe_plan(status="feasible", lower_bound=60.0, proved_by="some bound"))
    assert not app.success
    said = texts(app.info) + texts(app.caption)
    assert "feasible; at most 4.8 % above the optimum" in texts(app.info)
    assert "optimal" not in said


def test_a_crash_after_an_incumbent_shows_both(app):
    plan = dualpipe_plan(status="feasible", lower_bound=60.0, proved_by="some bound")
    with_plan(app, plan, "the solver process ended unexpectedly (exit code -9)")
    assert "exit code -9" in texts(app.warning)
    assert app.dataframe[0].value["schedule"].tolist()[0] == "Plan 1"


def test_infeasible_says_why(app):
    plan = dualpipe_plan(status="feasible")
    reason = "device 'gpu0' needs at least 1 activation"
    with_plan(app, Plan(problem=plan.problem, status="infeasible", reason=reason))
    assert reason in texts(app.error)
    assert not app.exception


def test_a_plan_of_other_settings_is_not_shown(app):
    plan = dualpipe_plan(status="optimal", lower_bound=63.0, proved_by="device load bound")
    with_plan(app, plan)
    app.number_input(key="memory/bidirectional_8x20").set_value(7.0).run()
    assert not app.success
    assert "Plan 1" not in app.dataframe[0].value["schedule"].tolist()


def test_budget_belongs_to_the_memory_objective(app):
    assert app.number_input(key="budget/bidirectional_8x20").disabled
    app.selectbox(key="objective/bidirectional_8x20").select("peak_memory").run()
    assert not app.number_input(key="budget/bidirectional_8x20").disabled
    app.number_input(key="budget/bidirectional_8x20").set_value(70.0).run()
    assert not app.exception


def test_upload_adds_a_problem(app):
    data = json.dumps(problem_document(pipeline(2, 3, name="mine"))).encode()
    app.file_uploader(key="upload").upload("mine.json", data, "application/json").run()
    assert not app.exception
    assert "mine" in str(app.selectbox(key="problem").value)
    assert "12 operators" in texts(app.caption) or "18 operators" in texts(app.caption)


@pytest.mark.parametrize(
    "data", [b"not json", b"{}", b"", b"[1, 2", b'{"format": "parallelism-problem/1"}']
)
def test_a_bad_upload_is_one_sentence_and_loses_nothing(app, data):
    app.file_uploader(key="upload").upload("bad.json", data, "application/json").run()
    assert not app.exception
    assert "bad.json" in texts(app.error)
    assert "Traceback" not in texts(app.error)
    assert app.selectbox(key="problem").value == "bidirectional_8x20"
    assert app.dataframe[0].value["makespan"].tolist() == [81, 66, 63]


def test_a_large_upload_is_refused():
    with pytest.raises(InputError, match="MiB"):
        problems.read_upload("huge.json", b" " * (50 * 2**20))


def test_settings_give_the_same_problem_for_the_same_settings():
    base = problems.sample_problem("linear_4x8")
    assert problems.with_settings(base, 3.0, "makespan", None) is problems.with_settings(
        base, 3.0, "makespan", None
    )
    tight = problems.with_settings(base, 3.0, "peak_memory", 40.0)
    assert tight.cluster.memory.tolist() == [3.0] * 4
    assert dict(tight.objective.subject_to) == {"makespan": 40.0}
