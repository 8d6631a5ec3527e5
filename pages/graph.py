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
with st.container(border=True):
    key = choose_problem()
in_editor, in_gallery, in_form = st.tabs(["Draw", "Gallery", "Generate"])
with in_editor:
    draw_editor(key)
with in_gallery:
    gallery()
with in_form:
    generate()
