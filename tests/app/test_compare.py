"""What the comparison of the Plan page shows and keeps."""

import pytest

from pages.components import compare, problems, solves
from planner_core.baselines import run_baseline
from planner_core.problem.settings import Settings
from planner_core.schedule import Plan

SAMPLE = "bidirectional_8x20"
NAME = problems.sample_problem(SAMPLE).name


def texts(elements):
    return " ".join(str(element.value) for element in elements)


def schedules(app):
    return app.dataframe[0].value["schedule"].tolist()


def a_plan(**settings):
    problem = problems.configured(problems.sample_problem(SAMPLE), Settings(**settings))
    schedule = run_baseline("dualpipe-sequential", problem).schedule
    return Plan(
        problem=problem, status="feasible", schedule=schedule, value=schedule.makespan,
        lower_bound=60.0, proved_by="some bound", seconds=1.0,
    )  # fmt: skip


def keep(app, *plans):
    app.session_state["plans"] = [
        solves.Kept(f"Plan {i}", plan, [], None) for i, plan in enumerate(plans, start=1)
    ]
    return app.run()


def test_chosen_schedules_stay_when_a_setting_changes(app):
    app.multiselect(key=f"baselines/{NAME}").set_value(["gpipe", "chimera"]).run()
    assert schedules(app) == ["GPipe", "Chimera"]
    app.number_input(key=f"memory/{SAMPLE}").set_value(7.0).run()
    app.number_input(key=f"micro_batches/{SAMPLE}").set_value(24).run()
    assert schedules(app) == ["GPipe", "Chimera"]


def test_a_chosen_schedule_that_does_not_apply_is_said_and_comes_back(app):
    app.multiselect(key=f"baselines/{NAME}").set_value(["1f1b", "dualpipe"]).run()
    app.number_input(key=f"micro_batches/{SAMPLE}").set_value(3).run()
    assert not app.exception
    assert schedules(app) == ["1F1B"]
    assert "Not with these settings: DualPipe (blocks)" in texts(app.caption)
    app.number_input(key=f"micro_batches/{SAMPLE}").set_value(20).run()
    assert schedules(app) == ["1F1B", "DualPipe (blocks)"]


def test_chosen_schedules_stay_while_another_page_is_open(app):
    app.multiselect(key=f"baselines/{NAME}").set_value(["gpipe"]).run()
    app.switch_page("pages/trade_off.py").run()
    app.switch_page("pages/plan.py").run()
    assert schedules(app) == ["GPipe"]


def test_earlier_plans_with_other_settings_are_compared(app):
    earlier, now = a_plan(memory=12.0), a_plan()
    keep(app, earlier, now)
    assert schedules(app)[0] == "Plan 2"
    choice = app.multiselect(key=f"earlier/{NAME}")
    assert choice.options == ["Plan 1: makespan 63 ms, memory 12 activations, 20 micro-batches"]
    choice.set_value(app.session_state["plans"][:1]).run()
    assert schedules(app)[:2] == ["Plan 2", "Plan 1"]
    words = "**Plan 1**: with memory 12 activations, 20 micro-batches: feasible"
    assert any(words in caption.value for caption in app.caption)


def test_an_earlier_plan_that_becomes_the_plan_is_shown_once(app):
    earlier, now = a_plan(memory=12.0), a_plan()
    keep(app, earlier, now)
    app.multiselect(key=f"earlier/{NAME}").set_value(app.session_state["plans"][:1]).run()
    app.number_input(key=f"memory/{SAMPLE}").set_value(12.0).run()
    assert not app.exception
    assert [name for name in schedules(app) if name.startswith("Plan")] == ["Plan 1"]


@pytest.mark.parametrize("name", ["a*b_c", "[x](y)", "$1$", "`t`", "p:q:r"])
def test_names_are_not_taken_for_markdown(name):
    escaped = compare.plain(name)
    assert escaped.replace("\\", "") == name
    assert all(escaped[i - 1] == "\\" for i, c in enumerate(escaped) if c in "*_[]$`:")


def test_an_operator_that_was_clicked_tells_its_path(app):
    app.session_state["timeline"] = {"picked": ["1f1b", 40]}
    app.run()
    assert not app.exception
    said = texts(app.caption)
    assert "Waits for" in said
    assert "a critical path of" in said


@pytest.mark.parametrize("picked", [["nobody", 1], ["1f1b", 10**6], ["1f1b", -1], None])
def test_a_click_on_what_is_no_longer_shown_is_forgotten(app, picked):
    app.session_state["timeline"] = {"picked": picked}
    app.run()
    assert not app.exception
    assert "Waited for by" not in texts(app.caption)


def test_the_critical_path_is_that_of_the_first_schedule(app):
    app.toggle(key="show_path").set_value(True).run()
    assert "Outlined in 1F1B: a critical path of" in texts(app.caption)
    assert "0 → 81 ms" in texts(app.caption)


def test_why_idle_names_what_every_gap_waits_for(app):
    app.session_state["open_idle"] = True
    app.run()
    assert not app.exception
    gaps = next(frame.value for frame in app.dataframe if "cause" in frame.value)
    first = gaps.iloc[0]
    assert (first["device"], first["cause"], first["next"]) == ("gpu0", "waiting for I1@0", "I0@0")
    assert "In all: 77 ms waiting for an operator" in texts(app.caption)


def test_the_charts_are_a_table_as_well(app):
    app.session_state["open_table"] = True
    app.run()
    assert not app.exception
    table = next(frame.value for frame in app.dataframe if "operator" in frame.value)
    assert len(table) == 480


def test_the_definitions_of_idle_time_stand_beside_each_other(app):
    names = app.dataframe[0].value.columns.tolist()
    place = names.index("idle share")
    assert names[place : place + 3] == ["idle share", "window share", "textbook rate"]


def test_a_problem_without_expert_schedules_says_what_to_do_and_can_be_taken_away(app):
    app.selectbox(key="problem").select("mixed_cluster").run()
    assert not app.exception
    assert "Press **Solve** for a plan" in texts(app.info)
    said = texts(app.caption)
    assert "48 operators · 4 devices" in said
    assert "HEFT: no order tried fits the memory limits" in said
    assert any(button.label == "Problem (JSON)" for button in app.get("download_button"))


def colourings(app):
    return [c.options for c in app.get("button_group") if c.key == "colour_by"]


def test_colours_are_offered_for_what_the_graph_has(app):
    assert colourings(app) == [["kind", "stage", "micro-batch"]]
    app.session_state["colour_by"] = "stage"
    app.selectbox(key="problem").select("small_graph").run()
    assert not app.exception
    assert colourings(app) == []
    app.number_input(key="micro_batches/small_graph").set_value(2).run()
    assert not app.exception
    assert colourings(app) == [["kind", "micro-batch"]]
