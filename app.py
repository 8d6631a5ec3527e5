"""The dashboard: ``streamlit run app.py``."""

import streamlit as st

from pages.components.setup import PAGES, setup

setup()
st.navigation(
    [st.Page(path, title=title, icon=icon) for path, title, icon in PAGES], position="top"
).run()
