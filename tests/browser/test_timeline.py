"""The timeline of the Plan page: pointing, clicking, keys and zoom."""

import pytest

from tests.browser.conftest import cell, timeline_says


def state(page, name):
    return page.evaluate(f"document.querySelector('.timeline').timeline.{name}")


def operator(page, name):
    return state(page, f"data.graphs[0].ids.indexOf('{name}')")


def test_pointing_says_what_an_operator_waits_for(page):
    page.mouse.move(*cell(page, "1f1b", operator(page, "F1@0")))
    tip = page.locator(".timeline .tl-tip")
    tip.wait_for()
    said = tip.inner_text()
    assert "F1@0 on gpu1" in said
    assert "waits for F0@0 (ends 1)" in said
    assert "waited for by F2@0 (starts 2)" in said


def test_a_click_outlines_the_critical_path_and_escape_clears_it(page):
    page.mouse.click(*cell(page, "1f1b", operator(page, "F3@0")))
    page.get_by_text("a critical path of").wait_for()
    page.wait_for_function(
        "document.querySelector('.timeline').timeline.data.panels[0].outlined.length > 0"
    )
    assert operator(page, "F0@0") in state(page, "data.panels[0].outlined")
    assert state(page, "data.panels[0].picked") == operator(page, "F3@0")
    page.locator(".timeline .tl-overlay").press("Escape")
    page.get_by_text("a critical path of").wait_for(state="detached")
    page.wait_for_function(
        "document.querySelector('.timeline').timeline.data.panels[0].outlined.length === 0"
    )


def test_operators_are_reached_and_chosen_with_the_keyboard(page):
    board = page.locator(".timeline .tl-overlay")
    board.press("ArrowRight")
    board.press("ArrowRight")
    said = page.locator(".timeline .tl-said")
    assert "F0@1 on gpu0" in said.inner_text()
    board.press("ArrowDown")
    assert "on gpu1" in said.inner_text()
    board.press("Enter")
    page.get_by_text("a critical path of").wait_for()


def test_numbers_that_do_not_fit_are_counted_and_come_back_with_zoom(page, server):
    page.goto(f"{server}/?problem=linear_8x24_profiled")
    page.locator(".timeline[data-drawn]").wait_for()
    batches = page.get_by_role("spinbutton", name="Micro-batches")
    batches.fill("100")
    batches.press("Enter")
    page.wait_for_function("Number(document.querySelector('.timeline').dataset.hidden) > 1000")
    assert "labels need more room" in page.locator(".timeline .tl-status").inner_text()
    for _ in range(5):
        page.get_by_role("button", name="Zoom in").click()
    page.wait_for_function("document.querySelector('.timeline').dataset.hidden === '0'")
    low, high = state(page, "view")
    assert high - low < state(page, "data.end") / 30
    page.get_by_role("button", name="Show all of the time axis").click()
    page.wait_for_function("Number(document.querySelector('.timeline').dataset.hidden) > 1000")


def test_zoom_to_one_micro_batch_and_keep_it_while_colours_change(page):
    choice = page.get_by_role("combobox", name="Micro-batch")
    choice.click()
    choice.fill("3")
    page.get_by_role("option", name="3", exact=True).click()
    toggle = page.get_by_test_id("stCheckbox").filter(has_text="Zoom to it")
    toggle.click()
    page.wait_for_function("document.querySelector('.timeline').timeline.data.window !== null")
    window = state(page, "data.window")
    assert state(page, "view") == window
    page.get_by_role("radio", name="stage").first.click()
    page.wait_for_function(
        "document.querySelector('.timeline').timeline.data.legend[0][0] === 'stage 0'"
    )
    assert state(page, "view") == window


@pytest.mark.parametrize("way", ["drag", "wheel"])
def test_the_view_moves_with_the_mouse(page, way):
    x, y = cell(page, "1f1b", operator(page, "F0@3"))
    page.mouse.move(x, y)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    page.wait_for_function(
        "(t => t.view[1] < t.data.end)(document.querySelector('.timeline').timeline)"
    )
    if way == "wheel":
        return
    low = state(page, "view[0]")
    page.mouse.move(x + 400, y)
    page.mouse.down()
    page.mouse.move(x + 100, y, steps=4)
    page.mouse.up()
    page.wait_for_function(f"document.querySelector('.timeline').timeline.view[0] > {low} + 1")


def test_memory_is_told_at_the_pointer(page):
    timeline_says(page, "1F1B")
    x, y = cell(page, "1f1b", operator(page, "F7@0"))
    page.mouse.move(x, y)
    top = state(page, "data.panels[0].memoryTop") - state(page, "data.panels[0].top")
    row = state(page, "data.panels[0].row")[operator(page, "F7@0")]
    page.mouse.move(x, y + top - 26 * (row + 0.5) + 30)
    page.get_by_text("gpu0 holds 8 activations").wait_for()


def test_the_legend_leaves_room_for_the_buttons(page):
    assert [place["line"] for place in state(page, "legend")] == [0, 0, 0, 0]
    page.set_viewport_size({"width": 720, "height": 900})
    page.wait_for_function("document.querySelector('.timeline').timeline.legend.at(-1).line > 0")
    buttons = page.locator(".timeline .tl-bar").first.bounding_box()
    board = page.locator(".timeline .tl-board").first.bounding_box()
    for place in state(page, "legend"):
        end = board["x"] + place["x"] + 17 + 6.6 * len(place["title"])
        assert end < buttons["x"]
    first = state(page, "data.panels[0].top")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.wait_for_function("document.querySelector('.timeline').timeline.legend.at(-1).line === 0")
    assert state(page, "data.panels[0].top") < first
