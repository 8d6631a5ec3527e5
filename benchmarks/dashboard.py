"""How fast the dashboard answers, in a real browser.

Run ``python -m benchmarks.dashboard [--runs 5] [--only WORD] [--write]``. Starts the app, drives
it with Chromium and prints a dated Markdown table: the median and the worst of the runs, what it
should be, and how busy the machine was. ``--write`` stores it in
``benchmarks/results/dashboard.md``.

A time runs from the click (or key) to the second frame after the answer is in the page. Needs
Chromium and playwright.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, sync_playwright

from benchmarks.screenshots import CHROMIUM, serve
from planner_core.formats.native import problem_document
from planner_core.workloads import pipeline

RESULT = Path(__file__).parent / "results" / "dashboard.md"

CELLS = "Number(document.querySelector('.timeline')?.dataset.drawn || 0)"
LABEL = "(document.querySelector('.timeline .tl-overlay')?.getAttribute('aria-label') || '')"
FIRST = "document.querySelector('.timeline').timeline.data"
LEGEND = "[...document.querySelectorAll('.legendtext')].map(e => e.textContent)"

Times = dict[str, float]


class Watch:
    """Times of one visit, by name of the row."""

    def __init__(self, page: Page) -> None:
        self.page, self.times = page, Times()

    def until(self, row: str, act: Callable[[], object], answered: str) -> None:
        """Time from ``act`` until the JavaScript expression ``answered`` is true and drawn."""
        begin = time.perf_counter()
        act()
        self.page.wait_for_function(f"() => {answered}", polling="raf")
        self.page.evaluate(
            "() => new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))"
        )
        self.times[row] = time.perf_counter() - begin

    def rest(self) -> None:
        """Wait until the page stands still."""
        self.page.wait_for_timeout(700)
        self.page.locator("[data-testid=stStatusWidget]").wait_for(state="detached")
        self.page.wait_for_timeout(300)


@contextmanager
def visit(browser: Browser) -> Iterator[Watch]:
    """A new tab."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(120_000)
    try:
        yield Watch(page)
    finally:
        page.close()


def says(words: str) -> str:
    """Whether the timeline shows a schedule with these words, as JavaScript."""
    return f"{LABEL}.includes({json.dumps(words)})"


def toggle(page: Page, label: str) -> Locator:
    """A toggle of the page by its label."""
    return page.get_by_test_id("stCheckbox").filter(has_text=label)


def opening(browser: Browser, address: str) -> Times:
    """The first picture of the first page."""
    with visit(browser) as watch:
        watch.until("first picture after the page opens", lambda: watch.page.goto(address),
                    f"{CELLS} > 1000")  # fmt: skip
        return watch.times


def fresh_server(browser: Browser) -> Times:
    """The first picture of a server that has just started."""
    child, address = serve()
    try:
        times = opening(browser, address)
    finally:
        child.terminate()
        child.wait(20)
    return {"the same on a server that has just started": times.popitem()[1]}


def controls(browser: Browser, address: str) -> Times:
    """Controls of the Plan page on the default sample."""
    with visit(browser) as watch:
        page = watch.page
        page.goto(address)
        page.wait_for_function(f"() => {CELLS} > 1000")
        watch.rest()
        for row, act, answer in (
            ("colour by stage", page.get_by_role("radio", name="stage").first.click,
             f"{FIRST}.legend[0][0] == 'stage 0'"),
            ("memory off", toggle(page, "Memory").click, f"{FIRST}.panels[0].memory === null"),
            ("critical path", toggle(page, "Critical path").click,
             f"{FIRST}.panels[0].outlined.length > 5"),
        ):  # fmt: skip
            watch.until(row, act, answer)
            watch.rest()
        box = page.evaluate("document.querySelector('.timeline').timeline.box('1f1b', 40)")
        place = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        watch.until("click on an operator", lambda: page.mouse.click(*place),
                    "document.body.innerText.includes('Waited for by')")  # fmt: skip
        watch.rest()
        for row, label, value, answer in (
            ("memory limit", "Memory limit (", "8", says("does not fit: needs 9")),
            ("micro-batches", "Micro-batches", "22", says("makespan 87")),
        ):
            box = page.get_by_role("spinbutton", name=label).first
            box.fill(value)
            watch.until(row, lambda box=box: box.press("Enter"), answer)
            watch.rest()
        choice = page.get_by_role("combobox").first
        choice.click()
        choice.fill("1F1B's home")
        watch.until("another problem", lambda: choice.press("Enter"), says("makespan 33"))
        return watch.times


def solving(browser: Browser, address: str) -> Times:
    """A search of the default sample, and one that is stopped."""
    with visit(browser) as watch:
        page = watch.page
        page.goto(address)
        page.wait_for_function(f"() => {CELLS} > 1000")
        watch.rest()
        page.wait_for_timeout(4000)  # the spare worker warms up while the user looks around
        solve = page.get_by_role("button", name="Solve").click
        watch.until("Solve: a live picture of the search", solve,
                    "document.body.innerText.includes('Elapsed')")  # fmt: skip
        begin = time.perf_counter()
        page.wait_for_function(f"() => {says('Plan 1')}")
        took = time.perf_counter() - begin
        watch.times["Solve: proved plan of the default sample"] = (
            took + watch.times["Solve: a live picture of the search"]
        )
        page.goto(f"{address}/?problem=bidirectional_8x20_573_transfer")
        page.wait_for_function(f"() => {says('makespan 372')}")
        watch.rest()
        solve()
        page.wait_for_timeout(6000)
        watch.until("Stop: best plan so far", page.get_by_role("button", name="Stop").click,
                    says("Plan 1"))  # fmt: skip
        return watch.times


def large(browser: Browser, address: str) -> Times:
    """Problems whose schedules have thousands of operators."""
    times = Times()
    for batches, count in ((208, "4,992"), (833, "19,992")):
        row = f"{count} bars after the upload"
        problem = pipeline(8, batches, memory=12, name=f"8 by {batches}")
        data = json.dumps(problem_document(problem)).encode()
        with visit(browser) as watch:
            page = watch.page
            page.goto(address)
            page.wait_for_function(f"() => {CELLS} > 1000")
            watch.rest()
            page.get_by_role("button", name="Upload a problem").click()
            file = {"name": "p.json", "mimeType": "application/json", "buffer": data}
            chooser = page.locator("input[type=file]")
            watch.until(row, partial(chooser.set_input_files, file),
                        says(f"makespan {3 * (batches + 7)}"))  # fmt: skip
            watch.rest()
            page.keyboard.press("Escape")
            watch.until(f"a control with {count} operators",
                        toggle(page, "Memory").click,
                        f"{FIRST}.panels[0].memory === null")  # fmt: skip
            times |= watch.times
    return times


def trade_off(browser: Browser, address: str) -> Times:
    """The Trade-off page from the Plan page."""
    with visit(browser) as watch:
        page = watch.page
        page.goto(address)
        page.wait_for_function(f"() => {CELLS} > 1000")
        watch.rest()
        points = "document.querySelectorAll('.scatterlayer .points path').length"
        begin = time.perf_counter()
        watch.until("Trade-off: first picture",
                    page.get_by_role("link", name="Trade-off").click, f"{points} > 0")  # fmt: skip
        page.wait_for_function(f"() => {points} >= 9")
        watch.times["Trade-off: every expert schedule"] = time.perf_counter() - begin
        watch.rest()
        page.wait_for_timeout(3000)
        watch.until("Trade-off: first plan of a sweep",
                    page.get_by_role("button", name="Sweep").click,
                    f"{LEGEND}.some(text => text.startsWith('plan'))")  # fmt: skip
        page.get_by_role("button", name="Stop").click()
        return watch.times


def graph(browser: Browser, address: str) -> Times:
    """The Graph page: its drawing, and another problem's."""
    drawn = "document.querySelector('.graph-editor')?.cytoscape?.nodes().length"
    with visit(browser) as watch:
        page = watch.page
        watch.until("Graph: first picture", lambda: page.goto(f"{address}/graph"), f"{drawn} > 0")
        watch.rest()
        choice = page.get_by_role("combobox").first
        choice.click()
        choice.fill("A graph that is no chain")
        watch.until("Graph: another problem", lambda: choice.press("Enter"), f"{drawn} === 10")
        return watch.times


def cluster(browser: Browser, address: str) -> Times:
    """The Cluster page: its tables, and a link that is changed."""
    tables = "document.querySelector('[data-testid=stDataFrame] canvas')"
    changed = (
        "[...document.querySelectorAll('button:enabled')]"
        ".some(button => button.innerText.includes('As in the problem'))"
    )
    with visit(browser) as watch:
        page = watch.page
        watch.until("Cluster: first picture", lambda: page.goto(f"{address}/cluster"), tables)
        watch.rest()
        latency = page.get_by_role("spinbutton", name="Latency")
        latency.fill("2")
        watch.until("Cluster: latency of a link", lambda: latency.press("Enter"), changed)
        return watch.times


def learn(browser: Browser, address: str) -> Times:
    """The Learn page: its first lesson, and a slider of another."""
    bars = "document.querySelector('.js-plotly-plot .bars')"
    with visit(browser) as watch:
        page = watch.page
        watch.until("Learn: first picture", lambda: page.goto(f"{address}/learn"), bars)
        page.goto(f"{address}/learn?lesson=gpipe")
        page.get_by_role("cell", name="33 ms").first.wait_for()
        watch.rest()
        slider = page.get_by_role("slider", name="Micro-batches m")
        slider.focus()
        watch.until("Learn: a slider", lambda: slider.press("ArrowRight"),
                    "document.body.innerText.includes('36 ms')")  # fmt: skip
        return watch.times


PARTS: tuple[Callable[[Browser, str], Times], ...] = (
    opening,
    controls,
    large,
    trade_off,
    graph,
    cluster,
    learn,
    solving,
)

TARGETS: dict[str, float] = {
    "first picture after the page opens": 4.0,
    "the same on a server that has just started": 4.0,
    "4,992 bars after the upload": 3.0,
    "19,992 bars after the upload": 3.0,
    "Solve: proved plan of the default sample": 5.0,
    "Stop: best plan so far": 2.0,
    "Trade-off: first picture": 4.0,
    "Trade-off: every expert schedule": 4.0,
    "Trade-off: first plan of a sweep": 5.0,
    "Graph: first picture": 4.0,
    "Cluster: first picture": 4.0,
    "Learn: first picture": 4.0,
}
"""Seconds; half a second for everything else."""

CONTROL = 0.5


def measure(runs: int, only: str) -> dict[str, list[float]]:
    """Times of every row, one per run."""
    found: dict[str, list[float]] = {}
    child, address = serve()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--headless", "--no-sandbox", "--disable-gpu"]
            )
            with visit(browser) as first:  # the server's own first page is a row of its own
                first.page.goto(address)
                first.page.wait_for_function(f"() => {CELLS} > 1000")
            for _ in range(runs):
                times = {} if only else fresh_server(browser)
                for part in PARTS:
                    if only in part.__name__:
                        times |= part(browser, address)
                for row, seconds in times.items():
                    found.setdefault(row, []).append(seconds)
            browser.close()
    finally:
        child.terminate()
        child.wait(20)
    return found


def table(found: dict[str, list[float]], runs: int, load: tuple[float, float]) -> list[str]:
    """The rows as Markdown."""
    lines = [
        f"Measured {datetime.date.today()} on {os.cpu_count()} cores that other work shared "
        f"(load average {load[0]:.1f} at the start, {load[1]:.1f} at the end), "
        f"Python {platform.python_version()}, headless Chromium without a GPU, median and worst "
        f"of {runs} runs.",
        "",
        "| what | median (s) | worst (s) | wanted (s) |",
        "|---|---|---|---|",
    ]
    for row, seconds in found.items():
        wanted = TARGETS.get(row, CONTROL)
        lines.append(
            f"| {row} | {statistics.median(seconds):.2f} | {max(seconds):.2f} | {wanted:g} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", default="", help="one part: opening, controls, large …")
    parser.add_argument("--write", action="store_true", help="store the table")
    options = parser.parse_args()
    before = os.getloadavg()[0]
    found = measure(options.runs, options.only)
    lines = table(found, options.runs, (before, os.getloadavg()[0]))
    print("\n".join(lines))
    if options.write:
        RESULT.write_text("# The dashboard in a browser\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
