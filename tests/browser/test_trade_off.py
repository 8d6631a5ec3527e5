import contextlib

from playwright.sync_api import TimeoutError

from tests.browser.conftest import timeline_says


def test_a_sweep_draws_points_and_opens_their_schedules(page, server):
    page.goto(f"{server}/trade_off")
    page.get_by_role("spinbutton", name="From (activations)").fill("8")
    page.get_by_role("spinbutton", name="From (activations)").press("Enter")
    page.get_by_role("spinbutton", name="Values").fill("2")
    page.get_by_role("spinbutton", name="Values").press("Enter")
    page.wait_for_timeout(500)
    page.locator("[data-test-script-state=notRunning]").wait_for()
    page.get_by_role("button", name="Sweep").click()
    page.get_by_role("button", name="Stop").wait_for()
    page.get_by_role("button", name="Sweep").wait_for()
    legend = page.locator(".legendtext").filter(has_text="plan, proved optimal")
    legend.first.wait_for()
    bars = page.locator(".timeline[data-drawn]").first
    for _ in range(10):  # the chart may still be moving when the first click comes
        box = page.locator(".scatterlayer .points path").last.bounding_box()
        if box is None:  # drawn anew at this moment
            page.wait_for_timeout(300)
            continue
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        with contextlib.suppress(TimeoutError):
            bars.wait_for(timeout=5_000)
            break
    said = timeline_says(page, "Plan at memory limit 9, makespan 63")
    assert "DualPipe (sequential), makespan 63" in said  # stands at the same place
    page.get_by_role("button", name="Keep this plan").click()
    page.get_by_text("choose it there under").wait_for()
    page.get_by_role("link", name="Plan", exact=True).click()
    page.get_by_role("button", name="Schedules").click()
    page.get_by_role("combobox", name="Earlier plans").click()
    page.get_by_role("option", name="Plan 1: makespan 63 ms, memory 9").click()
    timeline_says(page, "Plan 1, makespan 63")
