import json

import pytest
from streamlit.testing.v1 import AppTest

from pages.components import live, problems, solves
from pages.components.setup import ROOT
from planner_core.baselines import run_baseline
from planner_core.formats import scenario
from planner_core.formats.native import problem_document
from planner_core.model_files import ModelSettings
from planner_core.problem import InputError
from planner_core.problem.settings import Settings
from planner_core.schedule import Plan
from planner_core.search.process import Snapshot
from planner_core.search.progress import ModelSize
from planner_core.search.queue import SolveQueue
from planner_core.workloads import pipeline
from tests.app.conftest import APP


def texts(elements):
    return " ".join(str(element.value) for element in elements)


def with_plan(app, plan, error=None):
    app.session_state["plans"] = [solves.Kept("Plan 1", plan, [], error)]
    return app.run()


def dualpipe_plan(**more):
    problem = problems.configured(problems.sample_problem("bidirectional_8x20"), Settings())
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
    assert "feasible; at most 5.0 % above the optimum" in texts(app.info)
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


def test_budgets_are_for_what_is_not_minimised(app):
    keys = {box.key for box in app.number_input}
    assert "budget/makespan/bidirectional_8x20" not in keys
    app.selectbox(key="objective/bidirectional_8x20").select("peak_memory").run()
    app.number_input(key="budget/makespan/bidirectional_8x20").set_value(70.0).run()
    app.multiselect(key="then/bidirectional_8x20/peak_memory").select("transfer").run()
    assert not app.exception
    assert app.number_input(key="budget/transfer/bidirectional_8x20").disabled
    linked = scenario.unpack("".join(app.query_params["settings"]))
    assert linked == {"minimize": ["peak_memory", "transfer"], "subject_to": {"makespan": 70.0}}


def test_an_address_restores_the_scenario():
    settings = Settings(minimize=("peak_memory",), memory=7.0, micro_batches=12, time_limit=9.0,
                        merging="levels", merging_cap=2.0)  # fmt: skip
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params["problem"] = "bidirectional_8x20_564"
    app.query_params["settings"] = scenario.pack(scenario.settings_document(settings))
    app.run()
    assert not app.exception
    key = app.selectbox(key="problem").value
    assert key == "bidirectional_8x20_564"
    assert app.selectbox(key=f"objective/{key}").value == "peak_memory"
    assert app.number_input(key=f"memory/{key}").value == 7
    assert app.number_input(key=f"micro_batches/{key}").value == 12
    assert app.number_input(key="time_limit").value == 9
    assert app.selectbox(key=f"merging/{key}").value == "levels"
    assert app.number_input(key=f"merging_cap/{key}").value == 2


def test_the_merging_level_reaches_the_search_and_the_link(monkeypatch):
    asked = []
    app = AppTest.from_file(str(ROOT / "pages" / "plan.py"), default_timeout=60).run()
    monkeypatch.setattr(SolveQueue, "submit", lambda *given: asked.append(given[1:]))
    app.selectbox(key="merging/bidirectional_8x20").select("stages").run()
    app.number_input(key="merging_cap/bidirectional_8x20").set_value(4.0).run()
    assert scenario.unpack("".join(app.query_params["settings"])) == {
        "merging": "stages", "merging_cap": 4.0,
    }  # fmt: skip
    next(b for b in app.button if b.label == "Solve").click()
    app.run()
    assert (asked[0][1].merging, asked[0][1].merging_cap) == ("stages", 4.0)
    app.selectbox(key="merging/bidirectional_8x20").select("none").run()
    assert app.number_input(key="merging_cap/bidirectional_8x20").disabled
    assert scenario.unpack("".join(app.query_params["settings"])) == {"merging": "none"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("problem", "nowhere"), ("settings", "???"), ("graph", "x" * 50), ("settings", "eJw=")],
)
def test_a_bad_address_is_one_sentence(name, value):
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params["problem"] = "linear_4x8"
    app.query_params[name] = value
    app.run()
    assert not app.exception
    assert "link" in texts(app.error)


def test_a_scenario_file_restores_problem_and_settings(app):
    settings = Settings(memory=2.0, micro_batches=6)
    data = scenario.dump_scenario(pipeline(3, 4, name="mine"), settings).encode()
    app.file_uploader(key="upload").upload("s.json", data, "application/json").run()
    assert not app.exception
    key = app.selectbox(key="problem").value
    assert app.number_input(key=f"memory/{key}").value == 2
    assert app.number_input(key=f"micro_batches/{key}").value == 6
    assert "graph" in app.query_params


def test_a_scenario_with_an_unknown_key_is_refused(app):
    document = json.loads(scenario.dump_scenario(pipeline(3, 4), Settings()))
    document["settings"]["colour"] = "red"
    data = json.dumps(document).encode()
    app.file_uploader(key="upload").upload("s.json", data, "application/json").run()
    assert "colour" in texts(app.error)


def test_other_micro_batches_change_the_expert_schedules(app):
    app.number_input(key="micro_batches/bidirectional_8x20").set_value(16).run()
    assert not app.exception
    table = app.dataframe[0].value.set_index("schedule")
    assert table.loc["DualPipe (sequential)", "makespan"] == 51


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
        problems.read_upload("huge.json", b" " * (50 * 2**20), ModelSettings())


def test_settings_give_the_same_problem_for_the_same_settings():
    base = problems.sample_problem("linear_4x8")
    settings = Settings(minimize=("peak_memory",), subject_to={"makespan": 40.0}, memory=3.0)
    tight = problems.configured(base, settings)
    assert tight is problems.configured(base, settings)
    assert tight.cluster.memory.tolist() == [3.0] * 4
    assert dict(tight.objective.subject_to) == {"makespan": 40.0}


@pytest.mark.parametrize("measure", ["period", "peak_memory", "transfer"])
@pytest.mark.parametrize("key", ["bidirectional_8x20", "linear_4x8", "small_graph"])
def test_every_objective_opens(app, key, measure):
    app.selectbox(key="problem").select(key).run()
    app.selectbox(key=f"objective/{key}").select(measure).run()
    assert not app.exception
    assert not app.error


def test_zoom_to_one_micro_batch(app):
    app.selectbox(key="one_micro_batch").select(3).run()
    app.toggle(key="zoom_micro_batch").set_value(True).run()
    assert not app.exception


def test_a_model_that_cannot_be_written_says_why():
    app = AppTest.from_file(APP.replace("app.py", "pages/plan.py"), default_timeout=60).run()
    horizon = next(box for box in app.number_input if box.label.startswith("Horizon"))
    horizon.set_value(1.0)
    app.button(key="write_model").click().run()
    assert not app.exception
    assert "later horizon" in texts(app.error)


@pytest.mark.parametrize(
    ("phase", "size", "words"),
    [
        ("building the MIP, horizon 63", ModelSize(1, 2, 3), "building"),
        ("MIP, horizon 63", ModelSize(80800, 255740, 1), "80,800 × 255,740"),
        ("bounds", None, "none yet"),
    ],
)
def test_the_size_of_the_model_is_told_while_solving(phase, size, words):
    assert live._model(Snapshot(phase=phase, model_size=size)) == words
