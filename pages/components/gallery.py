"""Every problem of the session with a picture, a line on what it teaches and a button."""

from __future__ import annotations

import base64
from functools import lru_cache
from html import escape

import streamlit as st

from pages.components import baselines
from pages.components.problems import base_problem, facts, sources
from pages.components.setup import theme
from planner_core.baselines.first_schedules import first_schedules
from planner_core.charts.theme import THEMES
from planner_core.charts.thumbnail import HEIGHT, thumbnail
from planner_core.problem import Problem
from planner_core.schedule import Schedule

PER_ROW = 4

MOST_OPERATORS = 20_000
"""Operators of a problem whose schedule is made for a picture alone."""


def gallery() -> None:
    """Draw the gallery; a button chooses a problem."""
    offered = list(sources().items())
    for first in range(0, len(offered), PER_ROW):
        row = offered[first : first + PER_ROW]
        for column, (key, source) in zip(st.columns(PER_ROW), row, strict=False):
            with column.container(border=True, height="stretch"):
                problem = base_problem(key)
                st.html(_picture(problem, theme().name))
                st.markdown(f"**{source.title}**")
                st.caption(source.teaches)
                st.caption(facts(problem))
                chosen = key == st.session_state.get("problem")
                st.button(
                    "Chosen" if chosen else "Choose",
                    key=f"choose {key}",
                    disabled=chosen,
                    on_click=st.session_state.__setitem__,
                    args=("problem", key),
                )


@lru_cache(maxsize=256)
def _picture(problem: Problem, theme_name: str) -> str:
    """A schedule of the problem in small, as an ``img``; a word in its place if there is none."""
    found = _schedule(problem)
    if found is None:
        look = THEMES[theme_name]
        return (
            f'<div style="height:{HEIGHT}px;display:flex;align-items:center;justify-content:center;'
            f'background:{look.idle};color:{look.muted}">too large for a picture</div>'
        )
    title, shown, schedule = found
    label = f"{problem.name}, scheduled by {title}"
    drawn = thumbnail(shown, schedule, THEMES[theme_name], label=label)
    # Streamlit lets no svg element through, but a picture that is one.
    data = base64.b64encode(drawn.encode()).decode()
    return (
        f'<img alt="{escape(label)}" style="width:100%;height:{HEIGHT}px;display:block" '
        f'src="data:image/svg+xml;base64,{data}">'
    )


def _schedule(problem: Problem) -> tuple[str, Problem, Schedule] | None:
    """What made it, the problem it is of, and a schedule: an expert's, or a plain list schedule."""
    if problem.graph.n_operators > MOST_OPERATORS:
        return None
    for name in baselines.defaults(problem)[::-1]:
        found = baselines.result(name, problem)
        if not isinstance(found, str):
            return found.title, found.problem, found.schedule
    return next(((name, problem, drawn) for name, drawn in first_schedules(problem)), None)
