"""Where problems come from: drawn here, the gallery of samples, upload, and generators."""

from __future__ import annotations

import streamlit as st

from pages.components.editor import draw_editor
from pages.components.gallery import gallery
from pages.components.generators import generate
from pages.components.settings import choose_problem
from pages.components.setup import setup

setup()

if "next problem" in st.session_state:
    st.session_state["problem"] = st.session_state.pop("next problem")
    st.session_state["graph/tab"] = "Draw"
with st.container(border=True):
    key = choose_problem()
# Only the open tab is drawn: the pictures of the gallery take seconds the first time.
in_editor, in_gallery, in_form = st.tabs(
    ["Draw", "Gallery", "Generate"], key="graph/tab", on_change="rerun"
)
if in_editor.open:
    with in_editor:
        draw_editor(key)
elif in_gallery.open:
    with in_gallery:
        gallery()
else:
    with in_form:
        generate()
