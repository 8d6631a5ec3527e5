"""Where problems come from: the gallery of samples, upload, and generated pipelines."""

from __future__ import annotations

import streamlit as st

from pages.components.problems import add_problem, base_problem, facts, sources
from pages.components.settings import choose_problem
from pages.components.setup import setup
from planner_core.problem import PlannerError, Problem
from planner_core.workloads import PLACEMENTS, pipeline

MOST_ROWS = 2000
"""Rows of the tables below; a larger graph is shown by its beginning."""

setup()


def gallery() -> None:
    """Every problem with a line on what it teaches and a button that chooses it."""
    offered = sources()
    for start in range(0, len(offered), 4):
        for column, key in zip(st.columns(4), list(offered)[start : start + 4], strict=False):
            with column.container(border=True, height="stretch"):
                source = offered[key]
                st.markdown(f"**{source.title}**")
                st.caption(source.teaches)
                st.caption(facts(base_problem(key)))
                st.button(
                    "Choose",
                    key=f"choose {key}",
                    on_click=st.session_state.__setitem__,
                    args=("problem", key),
                )


def made(placement: str, chunks: int) -> Problem:
    """Return the pipeline that the form describes."""
    state = st.session_state
    return pipeline(
        state["make/devices"],
        state["make/batches"],
        placement,
        chunks=chunks,
        forward=state["make/forward"],
        backward_input=state["make/backward_input"],
        backward_weight=state["make/backward_weight"],
        transfer=state["make/transfer"],
        released_by_input=state["make/released"] / 100,
        memory=state["make/memory"],
    )


def generate() -> None:
    """A form for a pipeline of stages × micro-batches."""
    with st.form("generate"):
        first = st.columns(4)
        first[0].number_input("Devices", 1, 64, 8, key="make/devices")
        first[1].number_input("Micro-batches", 1, 256, 20, key="make/batches")
        placement = first[2].selectbox(
            "Placement",
            PLACEMENTS,
            index=PLACEMENTS.index("bidirectional"),
            key="make/placement",
            help="linear: stage s on device s. interleaved: several rounds over the devices. "
            "v: down the devices and back. bidirectional: a second copy runs the other way. "
            "wave: down and up, chunk by chunk.",
        )
        chunks = first[3].number_input(
            "Chunks", 1, 8, 2, key="make/chunks", help="Stages per device, if interleaved or wave."
        )
        second = st.columns(6)
        for column, (key, label, value, text) in zip(
            second,
            (
                ("forward", "F (ms)", 1.0, "Forward of one stage."),
                ("backward_input", "I (ms)", 1.0, "Backward for the input."),
                ("backward_weight", "W (ms)", 1.0, "Backward for the weights."),
                ("transfer", "Transfer (ms)", 0.0, "Time between two devices."),
            ),
            strict=False,
        ):
            column.number_input(
                label, min_value=0.0, value=value, format="%g", key=f"make/{key}", help=text
            )
        second[4].number_input(
            "Freed by I (%)", 0, 100, 0, key="make/released",
            help="Share of a saved activation that I releases; W releases the rest.",
        )  # fmt: skip
        second[5].number_input(
            "Memory (activations)", min_value=0.0, value=9.0, format="%g", key="make/memory",
            placeholder="unlimited", help="Limit per device, in saved activations of one stage.",
        )  # fmt: skip
        if not st.form_submit_button("Generate", type="primary", icon=":material/add:"):
            return
    try:
        problem = made(placement, int(chunks))
    except PlannerError as error:
        st.error(f"{error}.", icon=":material/error:")
        return
    st.session_state["next problem"] = add_problem(problem, problem.name, "Generated here.")
    st.rerun()


def tables(problem: Problem) -> None:
    """Operators, tensors and devices of the chosen problem."""
    graph, cluster = problem.template, problem.cluster
    operators, tensors, devices = st.tabs(["Operators", "Tensors", "Devices"])
    operators.dataframe(graph.operators_frame().head(MOST_ROWS), hide_index=True, height=320)
    tensors.dataframe(graph.tensors_frame().head(MOST_ROWS), hide_index=True, height=320)
    devices.dataframe(
        {
            "id": list(cluster.device_ids),
            "type": list(cluster.device_types),
            f"memory ({problem.memory_unit})": cluster.memory,
            "speed": cluster.speed,
        },
        hide_index=True,
    )
    if max(graph.n_operators, graph.n_tensors) > MOST_ROWS:
        st.caption(f"The first {MOST_ROWS:,} rows.")


if "next problem" in st.session_state:
    st.session_state["problem"] = st.session_state.pop("next problem")
with st.container(border=True):
    key = choose_problem()
    tables(base_problem(key))
st.subheader("Generate a pipeline", anchor=False)
generate()
st.subheader("Gallery", anchor=False)
gallery()
