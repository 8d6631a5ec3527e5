"""A running search on screen: phase, incumbent, bound, gap, and the best schedule so far."""

from __future__ import annotations

import streamlit as st

from pages.components import timeline
from pages.components.session_settings import unit_of
from pages.components.setup import theme
from pages.components.solves import keep, waiting_words
from planner_core.charts import Entry, convergence
from planner_core.charts.numbers import number, percent
from planner_core.schedule import relative_gap
from planner_core.search.process import Snapshot, SolveProcess

LIVE_CELLS = 20_000
"""A larger schedule is drawn only once the search is over."""

STOP_ANSWERS = 1.0
"""Seconds the page waits for a search that was stopped before it draws its course again."""


@st.fragment(run_every=0.5)
def live(job: SolveProcess) -> None:
    """Draw a running search twice a second; the page runs anew when it is over."""
    known = job.snapshot()
    if known.over:
        _end(job)
    with st.container(border=True):
        head, button = st.columns([6, 1.2], vertical_alignment="center")
        head.markdown(f"**{_state(job, known)}**")
        if button.button(
            "Stop",
            icon=":material/stop:",
            width="stretch",
            disabled=known.state == "stopping",
            help="Keeps the best plan so far.",
        ):
            job.stop()
            if job.finished.wait(STOP_ANSWERS):  # else the next picture shows it
                _end(job)
        st.progress(min(1.0, known.elapsed / job.options.time_limit))
        _figures(job, known)


def _end(job: SolveProcess) -> None:
    """Keep what a search found and draw the page anew."""
    keep(job)
    st.session_state["job"] = None
    st.rerun()


def _model(known: Snapshot) -> str:
    """Size of the model, or what there is in its place."""
    if known.phase.startswith("building"):
        return "building"
    size = known.model_size
    if size is None:
        return "none yet"
    return f"{size.columns:,} × {size.rows:,}"


def _state(job: SolveProcess, known: Snapshot) -> str:
    if known.state == "waiting":
        return waiting_words(job) or "Starting"
    if known.state == "stopping":
        return "Stopping; the best plan so far is kept"
    return f"Solving: {known.phase}"


def _figures(job: SolveProcess, known: Snapshot) -> None:
    problem = job.problem
    name = problem.objective.primary
    unit = unit_of(problem, name)
    gap = None
    if known.incumbent is not None and known.lower_bound is not None:
        gap = relative_gap(known.incumbent, known.lower_bound)
    size = known.model_size
    tiles = (
        (f"Best {name.replace('_', ' ')} ({unit})", number(known.incumbent), known.found_by),
        (f"Lower bound ({unit})", number(known.lower_bound), known.proved_by),
        ("Gap", percent(gap), "(value − bound) / value"),
        ("Elapsed (s)", f"{known.elapsed:.1f}", f"of {job.options.time_limit:g} s"),
        (
            "Model",
            _model(known),
            "Columns × rows of the mixed-integer programme"
            + ("." if size is None else f", with {size.nonzeros:,} coefficients."),
        ),
    )
    for column, (label, value, note) in zip(st.columns(len(tiles)), tiles, strict=True):
        column.metric(label, value, help=note)
    chosen = theme()
    left, right = st.columns([1, 2])
    with left:
        if known.incumbent is None and not known.lower_bound:
            st.caption("Incumbent and lower bound are drawn here as soon as there is one.")
        else:
            st.plotly_chart(
                convergence(
                    known.history,
                    chosen,
                    measure=name.replace("_", " "),
                    unit=unit,
                    now=known.elapsed,
                ),
                theme=None,
                key="live convergence",
                config={"displayModeBar": False},
                alt=f"Incumbent {number(known.incumbent)} and lower bound "
                f"{number(known.lower_bound)} {unit} after {known.elapsed:.0f} s",
            )
    with right:
        if known.schedule is None:
            st.caption("The first schedule appears here as soon as it is found.")
        elif problem.graph.n_operators > LIVE_CELLS:
            st.caption("The schedule is drawn when the search is over: it is too large to follow.")
        else:
            best = Entry(
                key="live",
                title=f"Best so far, by {known.found_by}",
                problem=problem,
                schedule=known.schedule,
            )
            timeline.show(timeline.document((best,), chosen, memory=False), key="live timeline")
