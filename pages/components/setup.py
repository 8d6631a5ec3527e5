"""What every page does first: title, width, styles; and the list of pages."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage
from streamlit.runtime.pages_manager import PagesManager

from pages.components.download import begin_run
from planner_core.charts.theme import THEMES, Theme

ROOT = Path(__file__).resolve().parents[2]

PAGES: tuple[tuple[str, str], ...] = (
    ("pages/plan.py", "Plan"),
    ("pages/trade_off.py", "Trade-off"),
    ("pages/graph.py", "Graph"),
    ("pages/cluster.py", "Cluster"),
    ("pages/learn.py", "Learn"),
)
"""(file, title) in the order a user meets them; an icon here would be loaded from another host."""

_KEPT = ("problem", "objective/", "then/", "memory/", "micro_batches/", "budget/", "time_limit",
         "merging", "generator", "sweep/", "make/", "learn/",
         "baselines/", "pair/", "earlier/", "colour_by", "show_")  # fmt: skip
"""Beginnings of the keys of controls that keep their values when the page changes."""

_STYLES = """
<style>
.block-container {padding-top: 4.2rem; padding-bottom: 3rem; max-width: 1860px;}
[data-testid="stMetricValue"] {font-variant-numeric: tabular-nums; font-size: 1.75rem;}
[data-testid="stMetricLabel"] p {font-size: 0.88rem;}
/* The server's limit, which lies above the app's own, said beside it. */
[data-testid="stFileUploaderDropzoneInstructions"] {display: none;}
h1 {font-size: 1.7rem !important; padding: 0 0 0.2rem 0 !important;}
h2 {font-size: 1.3rem !important;}
h3 {font-size: 1.08rem !important;}
</style>
"""


def navigation() -> StreamlitPage:
    """Declare the pages; return the one that was asked for."""
    return st.navigation(
        [st.Page(ROOT / path, title=title) for path, title in PAGES],
        position="top",
    )


def setup() -> None:
    """Set title, width and styles of the page."""
    if PagesManager.uses_pages_directory:
        # The first visit of a new server, by a link to this page: Streamlit has run the file
        # without app.py, because a folder called pages means its older navigation until the
        # newer one is declared.
        navigation()
        st.rerun()
    st.set_page_config(
        page_title="Parallelism planner",
        page_icon=str(ROOT / "static" / "icon.svg"),
        layout="wide",
        initial_sidebar_state="collapsed",
    )
    begin_run()
    st.html(_STYLES)
    for key in list(st.session_state):
        # Streamlit forgets a control that the next page does not draw, unless it was written.
        if str(key).startswith(_KEPT):
            st.session_state[key] = st.session_state[key]
    st.logo(str(ROOT / "static" / "logo.svg"), size="large")


def theme() -> Theme:
    """Return the figures' theme that goes with the page's."""
    shown = st.context.theme.type
    return THEMES[shown if shown in THEMES else "light"]
