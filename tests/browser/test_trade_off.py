import contextlib

from playwright.sync_api import TimeoutError


def test_a_sweep_draws_points_and_opens_their_schedules(page, server):
    page.goto(f"{server}/trade_off")
    page.get_by_role("spinbutton", name="From (activations)").fill("8")
    page.get_by_role("spinbutton", name="From (activations)").press("Enter")
    page.get_by_role("spinbutton", name="Values").fill("2")
    page.get_by_role("spinbutton", name="Values").press("Enter")
    page.wait_for_timeout(1000)
    page.get_by_role("button", name="Sweep").click()
    page.get_by_role("button", name="Stop").wait_for()
    page.get_by_role("button", name="Sweep").wait_for()
    legend = page.locator(".legendtext").filter(has_text="plan, proved optimal")
    legend.first.wait_for()
    bars = page.locator(".timeline[data-drawn]").first
    for _ in range(10):  # the chart may still be moving when the first click comes
        box = page.locator(".scatterlayer .points path").first.bounding_box()
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        with contextlib.suppress(TimeoutError):
            bars.wait_for(timeout=5_000)
            break
    assert bars.is_visible()
