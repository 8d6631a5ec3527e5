"""Pictures of the running app, for the README and for looking at every page.

python -m benchmarks.screenshots static/screenshots        the README's, 1280 wide, light
python -m benchmarks.screenshots FOLDER --all              every page and its main states, both
                                                           themes, 1280 and 1920 wide

Needs Chromium and playwright.
"""

import argparse
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
PAGES = {"plan": "", "learn": "learn", "trade_off": "trade_off", "graph": "graph",
         "cluster": "cluster"}  # fmt: skip
READY = {"plan": ".timeline[data-drawn]", "trade_off": ".js-plotly-plot .points",
         "learn": ".js-plotly-plot", "graph": "[data-testid=stTabs]",
         "cluster": "[data-testid=stDataFrame]"}  # fmt: skip
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


def serve():
    """Start the app on a free port; return the process and its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    child = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}",
         "--server.address=127.0.0.1", "--server.fileWatcherType=none"],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            urlopen(f"{address}/_stcore/health").close()
            break
        except (URLError, ConnectionError):
            time.sleep(0.1)
    return child, address


def opened(browser, address, name, theme="light", width=1280, height=900, query=""):
    """Open a page and wait until it stands still."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)
    page.set_default_timeout(60_000)
    page.goto(f"{address}/{PAGES[name]}{query}")
    page.locator(READY[name]).first.wait_for()
    settle(page)
    return page


def settle(page):
    """Wait until the script is done and figures are drawn, with the pointer out of the way."""
    page.mouse.move(0, 0)
    page.wait_for_timeout(1500)
    page.locator("[data-testid=stStatusWidget]").wait_for(state="detached")
    page.wait_for_timeout(800)


def solve(page):
    page.get_by_role("button", name="Solve").click()
    page.get_by_test_id("stAlert").filter(has_text="proved by").first.wait_for()
    page.locator('.timeline [aria-label*="Plan 1"]').first.wait_for()
    settle(page)


def sweep(page):
    page.get_by_role("spinbutton", name="Values").fill("6")
    page.get_by_role("spinbutton", name="Values").press("Enter")
    page.wait_for_timeout(1000)
    page.get_by_role("button", name="Sweep").click()
    page.get_by_role("button", name="Stop").wait_for()
    page.get_by_role("button", name="Stop").wait_for(state="detached", timeout=120_000)
    page.locator(".legendtext").filter(has_text="plan, proved optimal").first.wait_for()
    settle(page)


def solving(page):
    page.get_by_role("button", name="Solve").click()
    page.locator('.timeline [aria-label*="Best so far"]').first.wait_for()
    page.wait_for_timeout(4000)


def compared(page):
    """A plan beside three expert schedules, and why its devices are idle."""
    solve(page)
    page.get_by_text("Why idle?").click()
    page.locator(".js-plotly-plot .bars").first.wait_for()
    settle(page)


def opened_point(page):
    sweep(page)
    page.locator(".scatterlayer .points path").last.click(force=True)
    page.locator(".timeline[data-drawn]").first.wait_for()
    settle(page)


def uploading(page):
    page.get_by_role("button", name="Upload a problem").click()
    page.get_by_text("ONNX models: devices and costs").click()
    settle(page)


def generating(page):
    page.get_by_role("tab", name="Generate").click()
    page.get_by_text("Transformer", exact=True).first.click()
    settle(page)


STATES = {
    "plan_solving": ("plan", "?problem=bidirectional_8x20_573_transfer", solving),
    "plan_compared": ("plan", "", compared),
    "plan_upload": ("plan", "", uploading),
    "trade_off_swept": ("trade_off", "", opened_point),
    "graph_generate": ("graph", "", generating),
    "cluster_presets": ("cluster", "?problem=small_graph", settle),
}
"""Pictures of pages in use: the page, its query, and what is done there."""


def readme(browser, address, folder):
    page = opened(browser, address, "plan", height=1400)
    solve(page)
    page.get_by_text("Memory", exact=True).first.click()
    settle(page)
    page.screenshot(path=folder / "plan.png")
    page.close()
    page = opened(browser, address, "trade_off", height=860)
    sweep(page)
    page.screenshot(path=folder / "trade_off.png")
    page.close()
    page = opened(browser, address, "graph", height=900, query="?problem=small_graph")
    settle(page)
    page.screenshot(path=folder / "graph.png")
    page.get_by_role("tab", name="Gallery").click()
    page.get_by_role("img", name="scheduled by").first.wait_for()
    settle(page)
    page.screenshot(path=folder / "gallery.png")
    page.close()
    page = opened(browser, address, "learn", height=1000)
    page.screenshot(path=folder / "learn.png")
    page.close()


def every(browser, address, folder):
    for theme in ("light", "dark"):
        for width in (1280, 1920):
            for name in (*PAGES, *STATES):
                shown, query, act = STATES.get(name, (name, "", settle))
                page = opened(browser, address, shown, theme, width, query=query)
                act(page)
                high = page.evaluate(
                    "document.querySelector('[data-testid=stMain]')?.scrollHeight || 900"
                )
                page.set_viewport_size({"width": width, "height": min(4000, int(high))})
                settle(page)
                page.screenshot(path=folder / f"{name}_{theme}_{width}.png")
                page.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--all", action="store_true", help="every page, both themes, two widths")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    child, address = serve()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--headless", "--no-sandbox", "--disable-gpu"]
            )
            (every if arguments.all else readme)(browser, address, arguments.folder)
            browser.close()
    finally:
        child.terminate()
        child.wait(20)


if __name__ == "__main__":
    main()
