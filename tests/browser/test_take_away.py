"""Every artefact is downloaded and opened again."""

import csv
import io
import json
from xml.etree import ElementTree

import highspy
import pytest

from planner_core.formats.native import parse_problem, problem_document
from planner_core.formats.scenario import parse_scenario
from planner_core.search.export import FORMATS
from planner_core.workloads import pipeline
from tests.browser.conftest import timeline_says


def download(page, click):
    with page.expect_download() as waiting:
        click()
    return waiting.value.path().read_bytes()


def press(page, label):
    return download(page, lambda: page.get_by_role("button", name=label).click())


def test_files_of_the_expert_schedules(page, tmp_path):
    assert parse_problem(press(page, "Problem (JSON)")).graph.n_operators == 480
    rows = list(csv.DictReader(io.StringIO(press(page, "Schedules (CSV)").decode())))
    assert {row["schedule"] for row in rows} == {
        "1F1B", "DualPipe (blocks)", "DualPipe (sequential)"
    }  # fmt: skip
    trace = json.loads(press(page, "Trace (Perfetto)"))
    assert sum(event["ph"] == "X" for event in trace["traceEvents"]) == 480
    page.get_by_role("button", name="PyTorch (CSV)").click()
    actions = press(page, "1F1B (CSV)").decode().splitlines()
    assert len(actions) == 8
    assert actions[0].startswith("0F0,")
    page.keyboard.press("Escape")


def test_a_file_taken_right_after_typing_has_what_was_typed(page):
    for limit in (7, 5, 11):
        page.get_by_role("spinbutton", name="Memory limit").fill(str(limit))
        devices = json.loads(press(page, "Problem (JSON)"))["cluster"]["devices"]
        assert {device["memory"] for device in devices} == {limit}


def test_the_report_opens_offline(page, browser, tmp_path):
    file = tmp_path / "report.html"
    file.write_bytes(press(page, "Report (HTML)"))
    context = browser.new_context(offline=True)
    shown = context.new_page()
    asked = []
    shown.on("request", lambda request: asked.append(request.url))
    shown.goto(f"file://{file}")
    shown.locator(".js-plotly-plot .bars").first.wait_for()
    assert "memory limit (activations)" in shown.locator("table").first.inner_text()
    assert all(url.startswith(("file:", "data:", "blob:")) for url in asked)
    context.close()


TIGHT = pipeline(3, 5, memory=2, backward_input=2, name="tight")
"""The lower bound is 28, the optimum 30."""


def written_model(page, kind, horizon, tmp_path):
    """What HiGHS says of the model that the page writes for a horizon."""
    page.get_by_test_id("stButtonGroup").get_by_text(kind.upper(), exact=True).click()
    field = page.get_by_role("spinbutton", name="Horizon")
    field.fill(horizon)
    field.press("Enter")
    page.wait_for_timeout(800)
    page.get_by_role("button", name="Write the model").click()
    name = f"model.{kind}"
    page.get_by_role("button", name=name).wait_for()
    with page.expect_download() as waiting:
        page.get_by_role("button", name=name).click()
    assert waiting.value.suggested_filename == name
    file = tmp_path / name
    waiting.value.save_as(file)
    highs = highspy.Highs()
    highs.silent()
    assert highs.readModel(str(file)) == highspy.HighsStatus.kOk
    assert highs.getNumCol() > 50
    highs.run()
    return highs.getModelStatus()


def test_another_solver_finds_the_plans_makespan_and_none_shorter(page, tmp_path):
    page.get_by_role("button", name="Upload a problem").click()
    data = json.dumps(problem_document(TIGHT)).encode()
    file = {"name": "tight.json", "mimeType": "application/json", "buffer": data}
    page.locator("input[type=file]").set_input_files(file)
    timeline_says(page, "1F1B")
    page.get_by_text("Uploaded from tight.json").first.wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Solve").click()
    proved = page.get_by_test_id("stAlert").filter(has_text="Makespan 30 ms, optimal")
    proved.wait_for()
    page.get_by_text("The model itself (LP, MPS)").click()
    for kind in FORMATS:
        found = written_model(page, kind, "30", tmp_path)
        assert found == highspy.HighsModelStatus.kOptimal
        shorter = written_model(page, kind, "29", tmp_path)
        assert shorter == highspy.HighsModelStatus.kInfeasible


@pytest.mark.parametrize("kind", ["PNG", "SVG"])
def test_the_chart_is_saved_as_a_picture(page, kind):
    data = press(page, f"Save the chart as {kind}")
    if kind == "PNG":
        assert data.startswith(b"\x89PNG")
        return
    drawn = ElementTree.fromstring(data)
    words = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert "1F1B — makespan 81 ms" in words
    cells = 3 * 480
    assert sum(1 for _ in drawn.iter("{http://www.w3.org/2000/svg}rect")) > cells


def test_a_scenario_goes_out_as_file_and_link(page, server, browser):
    batches = page.get_by_role("spinbutton", name="Micro-batches")
    batches.fill("16")
    batches.press("Enter")
    timeline_says(page, "makespan 51")
    page.get_by_role("button", name="Scenario").click()
    _, settings = parse_scenario(press(page, "Scenario (JSON)"))
    assert settings.micro_batches == 16
    assert "settings=" in page.url
    other = browser.new_page()
    other.goto(page.url)
    other.set_default_timeout(60_000)
    timeline_says(other, "makespan 51")
    assert other.get_by_role("spinbutton", name="Micro-batches").input_value() == "16"
    other.close()
