"""Plan and expert schedules under each other: charts, operator details, table, idle causes."""

from __future__ import annotations

from functools import lru_cache

import plotly.graph_objects as go
import streamlit as st

from pages.components import baselines
from pages.components.figures import figures_table, operators_table, why_idle
from pages.components.setup import theme
from pages.components.shown import Shown
from pages.components.solves import Kept, kept_plans
from planner_core.analysis.critical_path import critical_path, waited_for_by, waits_for
from planner_core.analysis.table import Compared
from planner_core.charts import Entry, comparison
from planner_core.charts.gantt import COLOURINGS, MOST_BARS, label_size
from planner_core.charts.numbers import number
from planner_core.charts.theme import Theme
from planner_core.problem import Problem
from planner_core.schedule import validate

NO_MICRO_BATCH = "all"


def compare(problem: Problem, plan: Kept | None) -> list[Shown]:
    """Draw the comparison for a problem; return what it shows, the plan first."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.subheader("Comparison", anchor=False)
        st.space("stretch")
        names, pair, earlier = _choose(problem, plan)
    shown = _shown(problem, plan, names, pair, earlier)
    if not shown:
        st.info(
            "No expert schedule is chosen or fits this problem. Press **Solve** for a plan.",
            icon=":material/info:",
        )
        return []
    _charts(shown)
    figures_table(shown)
    why_idle(shown)
    operators_table(shown)
    return shown


def _choose(problem: Problem, plan: Kept | None) -> tuple[list[str], float | None, list[Kept]]:
    choices = baselines.choices(problem)
    possible = [name for name, (_, reason) in choices.items() if reason is None]
    with st.popover("Schedules", icon=":material/checklist:"):
        names = st.multiselect(
            "Expert schedules",
            possible,
            default=baselines.defaults(problem),
            format_func=lambda name: choices[name][0],
            key=f"baselines/{id(problem)}",
            help="Each is timed with this problem's durations and transfer times.",
        )
        pair = None
        if any(name in ("dualpipe", "dualpipev") for name in names):
            pair = st.number_input(
                f"Overlapped pair F&B ({problem.time_unit})",
                min_value=0.0,
                value=None,
                placeholder="F + B",
                format="%g",
                key=f"pair/{id(problem)}",
                help="Time of one DualPipe block that runs a forward and a backward at once. "
                "Empty: the sum of its parts. Less than F + B stands for overlap that is outside "
                "the problem model.",
            )
        others = [
            kept
            for kept in kept_plans()
            if kept is not plan
            and kept.plan.schedule is not None
            and kept.plan.problem.name == problem.name
        ]
        earlier = st.multiselect(
            "Earlier plans",
            others,
            format_func=_plan_title,
            disabled=not others,
            placeholder="none yet" if not others else "choose",
            key=f"earlier/{id(problem)}",
        )
        refused = [f"{title}: {reason}" for title, reason in choices.values() if reason]
        if refused:
            st.caption("Not for this problem:  \n" + "  \n".join(refused))
    return names, pair or None, earlier


def _plan_title(kept: Kept) -> str:
    return f"{kept.title} ({number(kept.plan.makespan)} {kept.plan.problem.time_unit})"


def _shown(
    problem: Problem,
    plan: Kept | None,
    names: list[str],
    pair: float | None,
    earlier: list[Kept],
) -> list[Shown]:
    shown = [_plan_shown(kept) for kept in ([plan] if plan else []) + earlier if kept.plan.schedule]
    makespan_bound = None
    if plan is not None and problem.objective.primary == "makespan":
        makespan_bound = plan.plan.lower_bound
    for name in names:
        found = baselines.result(name, problem, pair)
        if isinstance(found, str):
            st.warning(f"{name}: {found}", icon=":material/block:")
            continue
        wrong = [
            violation
            for violation in validate(found.problem, found.schedule, allow_overlapped=True)
            if violation.rule != "memory"
        ]
        if wrong:
            st.warning(f"{found.title} breaks a rule: {wrong[0]}", icon=":material/block:")
            continue
        note = "fits" if found.fits else f"does not fit: {found.reason}"
        bound = None if found.own_placement or len(found.schedule.overlapped) else makespan_bound
        if not found.fits and found.over_memory:
            bound = None
        shown.append(
            Shown(
                Entry(
                    key=name,
                    title=found.title,
                    problem=found.problem,
                    schedule=found.schedule,
                    note=note,
                ),
                Compared(
                    title=found.title,
                    problem=found.problem,
                    schedule=found.schedule,
                    lower_bound=bound,
                    fits=found.fits,
                    note=found.reason or "",
                ),
            )
        )
    return shown


def _plan_shown(kept: Kept) -> Shown:
    plan = kept.plan
    assert plan.schedule is not None
    proof = verdict(kept)
    bound = plan.lower_bound if plan.problem.objective.primary == "makespan" else None
    return Shown(
        Entry(
            key=kept.title,
            title=kept.title,
            problem=plan.problem,
            schedule=plan.schedule,
            note=proof,
        ),
        Compared(
            title=kept.title,
            problem=plan.problem,
            schedule=plan.schedule,
            lower_bound=bound,
            note=proof,
        ),
    )


def verdict(kept: Kept) -> str:
    """One line on how good a plan is proved to be."""
    plan = kept.plan
    if plan.status == "optimal":
        return f"optimal, proved by the {plan.proved_by}" if plan.proved_by else "optimal"
    if plan.lower_bound and plan.gap is not None:
        return (
            f"feasible; at most {100 * plan.gap:.1f} % above the optimum "
            f"(lower bound {number(plan.lower_bound)}, by the {plan.proved_by})"
        )
    return "feasible"


@st.fragment
def _charts(shown: list[Shown]) -> None:
    entries = [item.entry for item in shown]
    batches = sorted({b for e in entries for b in e.problem.graph.micro_batch.tolist() if b >= 0})
    with st.container(horizontal=True, vertical_alignment="bottom"):
        colour_by = st.segmented_control(
            "Colour by", COLOURINGS, default="kind", key="colour_by", required=True
        )
        one = st.selectbox(
            "Micro-batch",
            [NO_MICRO_BATCH, *batches],
            key="one_micro_batch",
            width=150,
            help="Fades all others.",
            disabled=not batches,
        )
        zoom = st.toggle(
            "Zoom to it",
            key="zoom_micro_batch",
            disabled=one == NO_MICRO_BATCH,
            help="Shows the time from the chosen micro-batch's first start to its last finish.",
        )
        memory = st.toggle("Memory", value=True, key="show_memory")
        path = st.toggle(
            "Critical path",
            key="show_path",
            help="Outlines a chain of operators without slack: through the operator you clicked, "
            "or to the end of the first schedule.",
        )
        image = st.segmented_control(
            "Save as",
            ("PNG", "SVG"),
            default="PNG",
            required=True,
            key="image_format",
            help="What the camera at the top right of the chart saves.",
        )
    window = _micro_batch_window(entries, int(one)) if zoom and one != NO_MICRO_BATCH else None
    if window is None and any(e.problem.graph.n_operators > MOST_BARS for e in entries):
        window = _chosen_window(entries)
    picked = _picked(entries)
    st.caption(_details(picked) if picked else _hint(entries))
    highlight = None
    if path:
        entry, operator = picked or (entries[0], None)
        highlight = (entry.key, tuple(critical_path(entry.problem, entry.schedule, operator)))
    elif picked:
        highlight = (picked[0].key, (picked[1],))
    figure = _figure(
        tuple(entries),
        theme(),
        colour_by or "kind",
        memory,
        highlight,
        None if one == NO_MICRO_BATCH else int(one),
        window,
    )
    st.plotly_chart(
        figure,
        theme=None,
        key="comparison",
        on_select="rerun",
        selection_mode="points",
        config={
            "displaylogo": False,
            "scrollZoom": False,
            "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
            "toImageButtonOptions": {
                "format": (image or "PNG").lower(),
                "scale": 2,
                "filename": "schedules",
            },
        },
    )


@lru_cache(maxsize=8)
def _figure(
    entries: tuple[Entry, ...],
    colours: Theme,
    colour_by: str,
    memory: bool,
    highlight: tuple[str, tuple[int, ...]] | None,
    micro_batch: int | None,
    window: tuple[float, float] | None,
) -> go.Figure:
    """The figure for what is chosen, kept while other controls change."""
    return comparison(
        entries,
        colours,
        colour_by=colour_by,
        memory=memory,
        highlight=highlight,
        micro_batch=micro_batch,
        window=window,
    )


def _micro_batch_window(entries: list[Entry], batch: int) -> tuple[float, float] | None:
    """First start and last finish of a micro-batch, over all schedules that have it."""
    starts, ends = [], []
    for entry in entries:
        members = entry.problem.graph.micro_batch == batch
        if members.any():
            starts.append(float(entry.schedule.start[members].min()))
            ends.append(float(entry.schedule.finish[members].max()))
    return (min(starts), max(ends)) if starts else None


def _chosen_window(entries: list[Entry]) -> tuple[float, float] | None:
    """A slider that zooms schedules too large for bars; None for all of them."""
    longest = max(entry.schedule.makespan for entry in entries)
    unit = entries[0].problem.time_unit
    low, high = st.slider(
        f"Window ({unit})",
        0.0,
        longest,
        (0.0, longest),
        step=longest / 1000,
        format="%.6g",
        key=f"window/{longest:g}",
        help=f"Up to {MOST_BARS:,} operators in view are drawn one by one; more of them as a "
        "heat map of how busy each device is.",
    )
    return (low, high) if high > low and (low, high) != (0.0, longest) else None


def _picked(entries: list[Entry]) -> tuple[Entry, int] | None:
    """The operator that was clicked last."""
    state = st.session_state.get("comparison")
    points = state["selection"]["points"] if state else []
    for point in points:
        data = point.get("customdata")
        if not data:
            continue
        key, operator = data[0], int(data[1])
        for entry in entries:
            if entry.key == key and operator < entry.problem.graph.n_operators:
                return entry, operator
    return None


def _hint(entries: list[Entry]) -> str:
    longest = max(entry.schedule.makespan for entry in entries)
    hidden = any(
        label_size(entry.problem, entry.schedule, longest) is None
        for entry in entries
        if entry.problem.graph.n_operators <= MOST_BARS
    )
    overview = any(entry.problem.graph.n_operators > MOST_BARS for entry in entries)
    text = (
        "Each cell is one operator with its micro-batch; lighter shades are a second direction "
        "or chunk. Drag to pan, click an operator for what it waits for."
    )
    if hidden:
        text += " Numbers that do not fit appear as you zoom in (buttons at the top right)."
    if overview:
        text += (
            f" More than {MOST_BARS:,} operators show how busy each device is; choose a shorter "
            "window to see them one by one."
        )
    return text


def _details(picked: tuple[Entry, int]) -> str:
    entry, o = picked
    graph, schedule = entry.problem.graph, entry.schedule
    unit = entry.problem.time_unit

    def named(operators: list[int]) -> str:
        names = [
            f"{graph.operator_ids[i]} (ends {number(float(schedule.finish[i]))})"
            for i in operators[:4]
        ]
        more = f" and {len(operators) - 4} more" if len(operators) > 4 else ""
        return ", ".join(names) + more if names else "nothing"

    before = waits_for(entry.problem, schedule, o)
    after = waited_for_by(entry.problem, schedule, o)
    device = entry.problem.cluster.device_ids[schedule.device[o]]
    return (
        f"**{entry.title}, {graph.operator_ids[o]}** on {device}, "
        f"{number(float(schedule.start[o]))} → {number(float(schedule.finish[o]))} {unit}. "
        f"Waits for {named(before)}. Waited for by {named(after)}."
    )
