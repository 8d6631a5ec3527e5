"""The devices a problem runs on and the links between them."""

from __future__ import annotations

import streamlit as st

from pages.components.cluster_editor import as_in_the_problem, presets, tables
from pages.components.problems import base_problem
from pages.components.scenario import write_link
from pages.components.settings import choose_problem
from pages.components.setup import setup

setup()
with st.container(border=True):
    key = choose_problem()
problem = base_problem(key)
st.subheader("Presets of real machines", anchor=False)
presets(problem, key)
head = st.container(horizontal=True, vertical_alignment="bottom")
head.subheader("Cluster", anchor=False)
head.space("stretch")
st.caption(
    "Changes hold at once, on every page. A plan of these devices is found on the **Plan** page."
)
tables(problem, key)
# Drawn last: only now it is known whether anything differs from the problem.
head.button(
    "As in the problem",
    icon=":material/undo:",
    disabled=f"cluster/{key}" not in st.session_state,
    help="Forget every change of the cluster.",
    on_click=as_in_the_problem,
    args=(key,),
)
write_link(key)
