import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(config, items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if config.pluginmanager.hasplugin("rerunfailures"):
                # A busy machine can hold a page up for longer than any sensible wait.
                item.add_marker(pytest.mark.flaky(reruns=2))


def timeline_says(page, words):
    """Wait until the timeline's text alternative has these words; return all of it."""
    found = page.locator(".timeline .tl-overlay").and_(page.locator(f'[aria-label*="{words}"]'))
    found.first.wait_for()
    return found.first.get_attribute("aria-label")


def cell(page, key, operator):
    """Middle of an operator's cell on the screen, scrolled into view."""
    find = """([key, o]) => {
        const timeline = document.querySelector('.timeline').timeline;
        const box = timeline.box(key, o);
        const main = document.querySelector('[data-testid=stMain]');
        if (box.y < 80 || box.y > innerHeight - 60) main.scrollBy(0, box.y - innerHeight / 2);
        const now = timeline.box(key, o);
        return [now.x + now.width / 2, now.y + now.height / 2];
    }"""
    return page.evaluate(find, [key, operator])


@pytest.fixture(scope="session")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def server(browser):
    """One server for all tests; asked for after the browser, so that nothing starts in vain."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py"]
    options = {
        "server.port": port,
        "server.address": "127.0.0.1",
        "server.fileWatcherType": "none",
        "server.headless": "true",
    }
    child = subprocess.Popen(
        command + [f"--{name}={value}" for name, value in options.items()],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            urlopen(f"{address}/_stcore/health").close()
            break
        except (URLError, ConnectionError):
            time.sleep(0.1)
    yield address
    child.terminate()
    child.wait(20)


@pytest.fixture
def page(browser, server):
    """A page that fails the test if anything was asked of another host."""
    opened = browser.new_page(viewport={"width": 1280, "height": 1000})
    opened.set_default_timeout(60_000)
    foreign = []
    own = re.compile(rf"^({re.escape(server)}|ws://{re.escape(server[7:])}|data:|blob:)")
    opened.on("request", lambda r: None if own.match(r.url) else foreign.append(r.url))
    opened.goto(server)
    opened.locator(".timeline[data-drawn]").wait_for()
    yield opened
    opened.close()
    assert foreign == []
