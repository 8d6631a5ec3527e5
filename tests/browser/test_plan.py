import json

import pytest

from planner_core.formats.native import problem_document
from planner_core.formats.plan_file import check_plan, parse_plan
from planner_core.workloads import pipeline
from tests.browser.conftest import cell, timeline_says


def solve(page):
    page.get_by_role("button", name="Solve").click()


def verdict(page, text):
    found = page.get_by_test_id("stAlert").filter(has_text=text)
    found.first.wait_for()
    return found.first.inner_text()


def upload(page, name, data):
    page.get_by_role("button", name="Upload a problem").click()
    page.locator("input[type=file]").set_input_files(
        {"name": name, "mimeType": "application/json", "buffer": data}
    )


def test_the_default_sample_is_solved_and_compared_with_dualpipe(page):
    solve(page)
    assert "optimal, proved by" in verdict(page, "Makespan 63")
    shown = timeline_says(page, "Plan 1")
    for title in ("Plan 1", "1F1B", "DualPipe (blocks)", "DualPipe (sequential)"):
        assert title in shown
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Plan (JSON)").click()
    document = parse_plan(waiting.value.path().read_bytes())
    assert document["makespan"] == 63
    assert document["status"] == "optimal"


def test_a_click_on_an_operator_says_what_it_waits_for(page):
    page.mouse.click(*cell(page, "1f1b", 40))
    page.get_by_text("Waited for by").first.wait_for()


def test_upload_solve_and_check_the_plan(page):
    problem = pipeline(2, 4, name="two by four", memory=2)
    upload(page, "mine.json", json.dumps(problem_document(problem)).encode())
    page.get_by_text("Uploaded from mine.json").first.wait_for()
    page.keyboard.press("Escape")
    solve(page)
    verdict(page, "Makespan")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Plan (JSON)").click()
    assert check_plan(parse_plan(waiting.value.path().read_bytes()), problem) == []


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"not json at all", "bad.json"),
        (b"{" + b" " * (50 * 2**20) + b"}", "MiB"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(page, data, words):
    upload(page, "bad.json", data) if len(data) < 40 * 2**20 else upload_large(page, data)
    said = verdict(page, words)
    assert "Traceback" not in said
    page.keyboard.press("Escape")
    assert "1F1B, makespan 81" in timeline_says(page, "1F1B")


def upload_large(page, data):
    """A file too large to be handed over in one message goes through the disk."""
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(data)
        file.flush()
        page.get_by_role("button", name="Upload a problem").click()
        page.locator("input[type=file]").set_input_files(file.name)
        page.get_by_test_id("stAlert").first.wait_for()


def test_a_long_search_is_watched_and_stopped(page):
    choice = page.get_by_role("combobox").first
    choice.click()
    choice.fill("5, 7, 3")  # the list draws only the options in view
    page.get_by_role("option", name="The same with F, I, W = 5, 7, 3").click()
    page.get_by_text("DualPipe takes 372").first.wait_for()
    solve(page)
    stop = page.get_by_role("button", name="Stop")
    stop.wait_for()
    page.get_by_text("Lower bound (ms)").first.wait_for()
    page.locator(".js-plotly-plot .scatterlayer").first.wait_for()
    page.wait_for_timeout(6000)
    stop.click()
    verdict(page, "Makespan")
