from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

APP = str(Path(__file__).parents[2] / "app.py")


@pytest.fixture(autouse=True)
def _no_spare_worker(monkeypatch):
    """A worker of the server would outlive each test."""
    monkeypatch.setattr("planner_core.search.queue.SPARE_DELAY", float("inf"))


@pytest.fixture
def app():
    return AppTest.from_file(APP, default_timeout=60).run()
