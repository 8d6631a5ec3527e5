def test_a_preset_is_used_by_the_next_plan(page, server):
    page.goto(f"{server}/cluster?problem=small_graph")
    page.get_by_role("button", name="Use these").wait_for()
    page.get_by_role("spinbutton", name="Number").fill("2")
    page.get_by_role("button", name="Use these").click()
    undo = page.get_by_role("button", name="As in the problem")
    undo.and_(page.locator(":enabled")).wait_for()
    page.get_by_role("link", name="Plan", exact=True).click()
    page.get_by_text("The cluster is the one set on the").wait_for()
    page.get_by_role("button", name="Solve").click()
    page.get_by_test_id("stAlert").filter(has_text="Makespan").first.wait_for()
    titles = page.locator(".js-plotly-plot .ytick")
    titles.filter(has_text="gpu1").first.wait_for()
    assert titles.filter(has_text="gpu2").count() == 0
