"""The devices a problem runs on and the links between them."""

from __future__ import annotations

import streamlit as st

from pages.components.cluster_editor import presets, start_again, tables
from pages.components.problems import base_problem
from pages.components.scenario import write_link
from pages.components.session_settings import forget
from pages.components.settings import choose_problem
from pages.components.setup import setup

setup()
with st.container(border=True):
    key = choose_problem()
problem = base_problem(key)
st.subheader("Presets of real machines", anchor=False)
presets(problem, key)
with st.container(horizontal=True, vertical_alignment="bottom"):
    st.subheader("Cluster", anchor=False)
    st.space("stretch")
    changed = f"cluster/{key}" in st.session_state
    if st.button(
        "As in the problem",
        icon=":material/undo:",
        disabled=not changed,
        help="Forget every change of the cluster.",
    ):
        forget(key, "cluster", "memory")
        start_again()
        st.rerun()
st.caption(
    "Changes hold at once, on every page. A plan of these devices is found on the **Plan** page."
)
tables(problem, key)
write_link(key)
