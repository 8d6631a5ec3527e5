"""Where problems come from: the gallery of samples, upload, and generators."""

from __future__ import annotations

import streamlit as st

from pages.components.gallery import gallery
from pages.components.generators import generate
from pages.components.problems import base_problem
from pages.components.settings import choose_problem
from pages.components.setup import setup
from planner_core.problem import Problem

MOST_ROWS = 2000
"""Rows of the tables below; a larger graph is shown by its beginning."""

setup()


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
in_gallery, in_form = st.tabs(["Gallery", "Generate"])
with in_gallery:
    gallery()
with in_form:
    generate()
