"""A running search: what is shown, what a crash and a closed tab do, and who waits for whom."""

import os
import signal
from pathlib import Path

import pytest

from planner_core.search.queue import THREADS_PER_SEARCH
from tests.browser.conftest import timeline_says

LONG = "?problem=bidirectional_8x20_573_transfer"
"""Takes all of its time."""


def opened(browser, server, query=LONG):
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(60_000)
    page.goto(f"{server}/{query}")
    page.locator(".timeline[data-drawn]").wait_for()
    page.wait_for_timeout(500)
    return page


def solve(page):
    page.get_by_role("button", name="Solve").click()
    page.get_by_role("button", name="Stop").wait_for()


def workers(server):
    """Process ids of the server's searches."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue  # it has ended meanwhile
        found[int(folder.name)] = (words, parent)
    port = server.rsplit(":", 1)[1].encode()
    servers = {pid for pid, (words, _) in found.items() if b"--server.port=" + port in words}
    return [
        pid
        for pid, (words, parent) in found.items()
        if parent in servers and b"planner_core.search.worker" in words
    ]


def test_a_search_shows_its_course_while_it_runs(browser, server):
    page = opened(browser, server)
    solve(page)
    timeline_says(page, "Best so far")
    for words in ("Best makespan (ms)", "Lower bound (ms)", "Gap", "Elapsed (s)", "Model"):
        page.get_by_text(words, exact=True).first.wait_for()
    for words in ("incumbent", "lower bound", "gap"):
        page.locator(".legendtext").filter(has_text=words).first.wait_for()
    page.get_by_role("button", name="Stop").click()
    timeline_says(page, "Plan 1")
    page.close()


@pytest.mark.skipif(not Path("/proc").exists(), reason="finds the process in /proc")
def test_a_killed_solver_is_reported_and_its_plan_kept(browser, server):
    page = opened(browser, server)
    solve(page)
    timeline_says(page, "Best so far")
    for pid in workers(server):
        os.kill(pid, signal.SIGKILL)
    broken = page.get_by_test_id("stAlert").filter(has_text="The search broke off")
    broken.wait_for()
    assert "ended unexpectedly" in broken.inner_text()
    assert "Traceback" not in page.locator("body").inner_text()
    timeline_says(page, "Plan 1")
    solve(page)  # and the next search is none the worse for it
    timeline_says(page, "Best so far")
    page.get_by_role("button", name="Stop").click()
    timeline_says(page, "Plan 2")
    page.close()


@pytest.mark.skipif(
    (os.cpu_count() or 1) >= 3 * THREADS_PER_SEARCH, reason="more cores than tabs to fill them"
)
def test_who_comes_later_waits_and_is_told_and_a_closed_tab_makes_room(browser, server):
    slots = max(1, (os.cpu_count() or 1) // THREADS_PER_SEARCH)
    first = [opened(browser, server) for _ in range(slots)]
    for page in first:
        page.get_by_role("spinbutton", name="Time limit").fill("600")
        page.get_by_role("spinbutton", name="Time limit").press("Enter")
        page.wait_for_timeout(800)
        solve(page)
        page.get_by_text("Solving:").first.wait_for()
    late = opened(browser, server)
    solve(late)
    late.get_by_text("Waiting for a free core: number 1 in line").wait_for()
    first.pop().close()
    late.get_by_text("Solving:").first.wait_for()
    late.get_by_role("button", name="Stop").click()
    late.get_by_role("button", name="Stop").wait_for(state="detached")
    for page in (*first, late):
        page.close()


@pytest.mark.skipif(
    (os.cpu_count() or 1) >= 2 * THREADS_PER_SEARCH, reason="more cores than one sweep takes"
)
def test_somebody_else_does_not_wait_for_a_whole_sweep(browser, server):
    sweeping = browser.new_page(viewport={"width": 1280, "height": 1000})
    sweeping.set_default_timeout(60_000)
    sweeping.goto(f"{server}/trade_off{LONG}")
    sweeping.get_by_role("button", name="Sweep").click()
    sweeping.get_by_text("of 5 plans solved").wait_for()
    late = opened(browser, server)
    solve(late)
    late.get_by_text("Waiting for a free core: number 1 in line, users take turns").wait_for()
    late.get_by_text("Solving:").first.wait_for()
    sweeping.get_by_text("of 5 plans solved · Waiting for a free core: number 1").wait_for()
    late.get_by_role("button", name="Stop").click()
    sweeping.get_by_role("button", name="Stop").click()
    sweeping.get_by_role("button", name="Sweep").wait_for()
    late.close()
    sweeping.close()
