"""Downloads: plan, problem, schedule table, trace and report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.components.setup import theme
from pages.components.solves import Kept
from planner_core.formats.json_text import dump_object
from planner_core.formats.native import problem_document
from planner_core.formats.plan_file import plan_document
from planner_core.problem import Problem

if TYPE_CHECKING:
    from pages.components.compare import Shown


def take_away(problem: Problem, plan: Kept | None, shown: list[Shown]) -> None:
    """Draw the download buttons; each file is made when its button is pressed."""
    st.subheader("Take away", anchor=False)
    with st.container(horizontal=True):
        if plan is not None and plan.plan.schedule is not None:
            st.download_button(
                "Plan (JSON)",
                lambda: dump_object(plan_document(plan.plan)),
                "plan.json",
                "application/json",
                icon=":material/download:",
                on_click="ignore",
            )
        st.download_button(
            "Problem (JSON)",
            lambda: dump_object(problem_document(problem)),
            "problem.json",
            "application/json",
            icon=":material/download:",
            on_click="ignore",
        )
        st.download_button(
            "Schedules (CSV)",
            lambda: _csv(shown),
            "schedules.csv",
            "text/csv",
            icon=":material/table:",
            on_click="ignore",
        )
        st.download_button(
            "Report (HTML)",
            lambda: _report(problem, shown),
            "report.html",
            "text/html",
            icon=":material/description:",
            on_click="ignore",
        )


def _csv(shown: list[Shown]) -> str:
    import pandas as pd

    from planner_core.analysis.schedule_table import schedule_frame

    frames = [
        schedule_frame(item.entry.problem, item.entry.schedule).assign(schedule=item.entry.title)
        for item in shown
    ]
    return pd.concat(frames).to_csv(index=False)


def _report(problem: Problem, shown: list[Shown]) -> str:
    from planner_core.charts.report import report

    return report(problem, [item.entry for item in shown], [item.row for item in shown], theme())
