"""The field that takes problem and scenario files."""

from __future__ import annotations

import streamlit as st

from pages.components.fields import MODEL_FILE, draw_fields, model_file_settings
from pages.components.problems import add_problem, read_upload
from pages.components.session_settings import put_settings
from planner_core.formats import READERS, UPLOAD_LIMIT
from planner_core.formats.scenario import parse_scenario, sniff
from planner_core.problem import PlannerError


def upload_popover() -> None:
    """Draw the field; a bad file leaves everything as it was and says what is wrong."""
    with st.popover("Upload a problem", icon=":material/upload:", width="stretch"):
        st.caption(
            f"A file of any kind: {', '.join(READERS)}, or a scenario; told by content, up to "
            f"{UPLOAD_LIMIT / 2**20:g} MiB."
        )
        with st.expander("ONNX models: devices and costs", icon=":material/speed:"):
            st.caption("Set before the file is chosen: its durations are computed from these.")
            draw_fields(MODEL_FILE, "file", 2)
        st.file_uploader(
            "Problem file",
            key="upload",
            label_visibility="collapsed",
            on_change=_take_upload,
        )
        if message := st.session_state.get("upload_error"):
            st.error(message, icon=":material/error:")


def _take_upload() -> None:
    file = st.session_state.get("upload")
    st.session_state["upload_error"] = None
    if file is None:
        return
    try:
        st.session_state["problem"] = _added(file.name, file.getvalue())
    except PlannerError as error:
        st.session_state["upload_error"] = f"{file.name}: {error}."


def _added(name: str, data: bytes) -> str:
    if not sniff(data):
        return read_upload(name, data, model_file_settings())
    problem, settings = parse_scenario(data)
    key = add_problem(problem, problem.name, f"Uploaded from {name}.")
    put_settings(key, settings)
    return key
