from tests.browser.conftest import timeline_says


def test_a_preset_is_used_by_the_next_plan(page, server):
    page.goto(f"{server}/cluster?problem=small_graph")
    page.get_by_role("button", name="Use these").wait_for()
    page.get_by_role("spinbutton", name="Number", exact=True).fill("2")
    page.get_by_role("button", name="Use these").click()
    undo = page.get_by_role("button", name="As in the problem")
    undo.and_(page.locator(":enabled")).wait_for()
    page.get_by_role("link", name="Plan", exact=True).click()
    page.get_by_text("The cluster is the one set on the").wait_for()
    page.get_by_role("button", name="Solve").click()
    page.get_by_test_id("stAlert").filter(has_text="Makespan").first.wait_for()
    timeline_says(page, "Plan 1")
    rows = "document.querySelector('.timeline').timeline.data.panels[0].rows"
    assert page.evaluate(rows) == ["gpu0", "gpu1"]
