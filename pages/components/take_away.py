"""Downloads: plan, problem, schedule tables, trace, report, and the model itself."""

from __future__ import annotations

from functools import lru_cache

import streamlit as st

from pages.components.download import download
from pages.components.problems import sources
from pages.components.setup import theme
from pages.components.shown import Shown
from pages.components.solves import Kept
from planner_core.charts.theme import Theme
from planner_core.formats.json_text import dump_object
from planner_core.formats.native import problem_document
from planner_core.formats.plan_file import plan_document
from planner_core.formats.pytorch_csv import pytorch_csv
from planner_core.problem import PlannerError, Problem
from planner_core.schedule import Schedule
from planner_core.search.export import FORMATS, export_model


def take_away(problem: Problem, plan: Kept | None, shown: list[Shown]) -> None:
    """Draw the download buttons; each file is made when its button is pressed."""
    st.subheader("Take away", anchor=False)
    # Files are made outside of the session, which knows these.
    colours, about = theme(), sources()[st.session_state["problem"]].teaches
    chosen = shown[0] if shown else None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if len(shown) > 1:
            index = st.selectbox(
                "Trace and PyTorch file of",
                range(len(shown)),
                format_func=lambda i: shown[i].entry.title,
                help="Which schedule these two files hold.",
                key="take_away_of",
                width=260,
            )
            chosen = shown[index if index is not None and index < len(shown) else 0]
        if plan is not None and plan.plan.schedule is not None:
            download("Plan (JSON)", lambda: dump_object(plan_document(plan.plan)), "plan.json")
        download("Problem (JSON)", lambda: dump_object(problem_document(problem)), "problem.json")
        if chosen is not None:
            download("Schedules (CSV)", lambda: _csv(shown), "schedules.csv")
            download("Trace (Perfetto)", lambda: _trace(chosen), "trace.json")
            with st.popover("PyTorch (CSV)", icon=":material/download:"):
                _pytorch(chosen)
            download(
                "Report (HTML)",
                lambda: _report(problem, plan, shown, colours, about),
                "report.html",
            )
    with st.expander("The model itself (LP, MPS)", icon=":material/function:"):
        _model(problem, plan)
    if chosen is None:
        return
    st.caption(
        "The chart itself: **PNG** and **SVG** at its top right save what it shows. Open a trace "
        "at ui.perfetto.dev or chrome://tracing."
    )


def _csv(shown: list[Shown]) -> str:
    import pandas as pd

    from planner_core.analysis.schedule_table import schedule_frame

    frames = [
        schedule_frame(item.entry.problem, item.entry.schedule).assign(schedule=item.entry.title)
        for item in shown
    ]
    return pd.concat(frames).to_csv(index=False)


def _trace(chosen: Shown) -> str:
    from planner_core.formats.chrome_trace import chrome_trace

    return chrome_trace(chosen.entry.problem, chosen.entry.schedule)


@lru_cache(maxsize=16)
def _pytorch_file(problem: Problem, schedule: Schedule) -> tuple[str, str]:
    """The file, or nothing and the sentence on why there is none."""
    try:
        return pytorch_csv(problem, schedule), ""
    except PlannerError as error:
        return "", str(error)


def _pytorch(chosen: Shown) -> None:
    text, reason = _pytorch_file(chosen.entry.problem, chosen.entry.schedule)
    if reason:
        st.caption(f"Not for {chosen.entry.title}: {reason}.")
        return
    st.caption(
        "The order of actions on every rank, for torch.distributed.pipelining, torchtitan "
        "(`pipeline_parallel_schedule_csv`) and NeMo AutoModel (`pp_schedule_csv`)."
    )
    download(f"{chosen.entry.title} (CSV)", lambda: text, "pytorch_schedule.csv")


def _report(
    problem: Problem, plan: Kept | None, shown: list[Shown], colours: Theme, about: str
) -> str:
    from planner_core.charts.report import report

    return report(
        problem,
        [item.entry for item in shown],
        [item.row for item in shown],
        colours,
        plan=None if plan is None else plan.plan,
        history=() if plan is None else plan.history,
        about=about,
    )


def _model(problem: Problem, plan: Kept | None) -> None:
    """A form for the model; it takes seconds to write, so it is made on demand."""
    st.caption(
        "The time-indexed mixed-integer programme: is there a schedule that ends by the horizon?"
    )
    kind = st.segmented_control(
        "Format",
        list(FORMATS),
        format_func=str.upper,
        default="lp",
        required=True,
        key="model_format",
        help="Both are plain text that other solvers read; LP is easier on the eye.",
    )
    horizon = st.number_input(
        f"Horizon ({problem.time_unit})",
        min_value=0.0,
        value=plan.plan.makespan if plan is not None else None,
        placeholder="the lower bound",
        format="%g",
        help="Latest time at which everything must be over; a shorter one makes a smaller model.",
        key=f"horizon/{id(problem)}/{0 if plan is None else id(plan)}",
    )
    made = st.session_state.get("model_made")
    if st.button("Write the model", key="write_model"):
        made = None
        try:
            made = (problem, kind, horizon, export_model(problem, kind, horizon or None))
        except PlannerError as error:
            st.error(f"{str(error)[:1].upper()}{str(error)[1:]}.", icon=":material/error:")
        st.session_state["model_made"] = made
    if made is not None and made[0] is problem and made[1:3] == (kind, horizon):
        text = made[3]
        label = f"model.{kind} ({len(text) / 2**20:.1f} MiB)"
        # An earlier model, which may be large, is not kept beside it.
        download(label, lambda: text, f"model.{kind}", kept_as="model")
