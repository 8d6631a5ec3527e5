"""Tables of what a comparison shows: figures, idle times, operators."""

from __future__ import annotations

from functools import lru_cache

import pandas as pd
import streamlit as st

from pages.components.setup import theme
from pages.components.shown import Shown
from planner_core.analysis.idle_causes import CAUSES, OPERATOR, TRANSFER, Gap, idle_causes
from planner_core.analysis.schedule_table import schedule_frame
from planner_core.analysis.table import HELP, rows
from planner_core.charts import Entry, idle_causes_chart
from planner_core.charts.numbers import number
from planner_core.problem import Problem
from planner_core.schedule import Schedule

_NAMED = {OPERATOR: "waiting for ", TRANSFER: "waiting for the transfer from "}
"""What the cause of a gap is called before the name of the operator it waits for."""

MOST_ROWS = 2000
"""Rows of the table of operators; a longer schedule is shown by its beginning."""


def figures_table(shown: list[Shown]) -> None:
    """Draw makespan, bound, idle share and the rest of every schedule, and differences."""
    st.subheader("Figures", anchor=False)
    titles = [item.row.title for item in shown]
    problem = shown[0].entry.problem
    reference = 0
    if len(shown) > 1:
        reference = st.selectbox(
            "Differences to",
            range(len(titles)),
            format_func=lambda i: titles[i],
            width=280,
            help="The column *difference* is a schedule's makespan minus that of this one.",
        )
    frame = pd.DataFrame(rows([item.row for item in shown], reference))
    unknown = [name for name in ("lower bound", "gap") if frame[name].isna().all()]
    frame = frame.drop(columns=["note", *unknown])
    time, memory = problem.time_unit, problem.memory_unit
    units = {
        "makespan": f"makespan ({time})",
        "difference": f"difference ({time})",
        "lower bound": f"bound ({time})",
        "peak memory": f"peak ({memory})",
        "transfer volume": f"moved ({memory})",
        "throughput": f"throughput (1/{time})",
    }
    shares = ("gap", "idle share", "window share", "textbook rate")
    config = {
        name: st.column_config.NumberColumn(
            units.get(name, name),
            help=HELP[name],
            format="%.1f %%" if name in shares else ("%+.6g" if name == "difference" else "%.6g"),
        )
        for name in frame.columns
        if name not in ("schedule", "fits")
    }
    config["schedule"] = st.column_config.TextColumn("schedule", pinned=True)
    config["fits"] = st.column_config.TextColumn("fits", help=HELP["fits"])
    st.dataframe(
        frame,
        hide_index=True,
        column_config=config,
        placeholder="–",
        alt="Figures of every schedule: " + ", ".join(frame.columns),
    )
    # Sentences stand below: in a column they would be cut off.
    for item in shown:
        if not item.row.fits:
            st.caption(f":material/block: **{item.row.title}** does not fit: {item.row.note}.")
        elif item.row.note:
            st.caption(f":material/info: **{item.row.title}**: {item.row.note}.")


@lru_cache(maxsize=32)
def _gaps(problem: Problem, schedule: Schedule) -> tuple[Gap, ...]:
    return tuple(idle_causes(problem, schedule))


@st.fragment
def why_idle(shown: list[Shown]) -> None:
    """Draw where idle time comes from: a bar per device and the gaps one by one."""
    # What is in a closed box is not made: the browser would load a library to draw it.
    box = st.expander(
        "Why idle?", icon=":material/hourglass_empty:", key="open_idle", on_change="rerun"
    )
    if not box.open:
        return
    with box:
        titles = [item.entry.title for item in shown]
        index = st.segmented_control(
            "Schedule",
            range(len(titles)),
            format_func=lambda i: titles[i],
            default=0,
            required=True,
            key="idle_of",
        )
        entry = shown[index if index is not None and index < len(shown) else 0].entry
        gaps = _gaps(entry.problem, entry.schedule)
        if not gaps:
            st.caption("No device is ever idle.")
            return
        left, right = st.columns([3, 2])
        left.plotly_chart(
            idle_causes_chart(entry.problem, gaps, theme()),
            theme=None,
            key="idle chart",
            config={"displayModeBar": False},
            alt=f"Idle time of {entry.title} by cause: {_totals(gaps, entry.problem.time_unit)}",
        )
        right.dataframe(
            _gap_frame(entry, gaps),
            hide_index=True,
            height=300,
            alt="Every gap with its cause and the operator that ends it",
        )
        st.caption(
            f"In all: {_totals(gaps, entry.problem.time_unit)}. A gap is explained by the operator "
            f"that ends it: {', '.join(CAUSES[:-1])} (it could have run, the schedule chose not "
            f"to), or {CAUSES[-1]}."
        )


@st.fragment
def operators_table(shown: list[Shown]) -> None:
    """The charts' cells as a table, for keyboards, screen readers and spreadsheets."""
    box = st.expander(
        "The charts as a table", icon=":material/table:", key="open_table", on_change="rerun"
    )
    if not box.open:
        return
    with box:
        titles = [item.entry.title for item in shown]
        index = st.segmented_control(
            "Schedule",
            range(len(titles)),
            format_func=lambda i: titles[i],
            default=0,
            required=True,
            key="table_of",
        )
        entry = shown[index if index is not None and index < len(shown) else 0].entry
        frame = schedule_frame(entry.problem, entry.schedule)
        unit = entry.problem.time_unit
        st.dataframe(
            frame.head(MOST_ROWS).rename(
                columns={"start": f"start ({unit})", "finish": f"finish ({unit})"}
            ),
            hide_index=True,
            height=320,
        )
        if len(frame) > MOST_ROWS:
            st.caption(f"The first {MOST_ROWS:,} of {len(frame):,} operators.")


def _totals(gaps: tuple[Gap, ...], unit: str) -> str:
    """Idle time of all devices by cause, the largest first."""
    total = {cause: sum(g.end - g.start for g in gaps if g.cause == cause) for cause in CAUSES}
    largest = sorted((cause for cause in CAUSES if total[cause]), key=lambda cause: -total[cause])
    return ", ".join(f"{number(total[cause])} {unit} {cause}" for cause in largest)


def _gap_frame(entry: Entry, gaps: tuple[Gap, ...]) -> pd.DataFrame:
    ids, devices = entry.problem.graph.operator_ids, entry.problem.cluster.device_ids
    return pd.DataFrame(
        {
            "device": [devices[gap.device] for gap in gaps],
            f"from ({entry.problem.time_unit})": [gap.start for gap in gaps],
            f"until ({entry.problem.time_unit})": [gap.end for gap in gaps],
            "cause": [
                _NAMED[gap.cause] + str(ids[gap.waits_for]) if gap.waits_for >= 0 else gap.cause
                for gap in gaps
            ],
            "next": [ids[gap.operator] if gap.operator >= 0 else "" for gap in gaps],
        }
    )
