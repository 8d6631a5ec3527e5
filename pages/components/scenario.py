"""The whole scenario in the page's address and as a file."""

from __future__ import annotations

import streamlit as st

from pages.components.download import download
from pages.components.problems import add_problem, base_problem, own_problems, samples
from pages.components.session_settings import put_settings, settings_of
from planner_core.formats.native import problem_document, problem_from_document
from planner_core.formats.scenario import (
    LINK_LIMIT,
    dump_scenario,
    pack,
    settings_document,
    settings_from_document,
    unpack,
)
from planner_core.problem import PlannerError

MOST_LINKED_OPERATORS = 2000
"""A larger problem would not fit into a link."""


def follow_link() -> None:
    """Restore the scenario of the address this session was opened with, once."""
    state = st.session_state
    if state.get("link_followed"):
        return
    state["link_followed"] = True
    asked = st.query_params
    try:
        if "graph" in asked:
            problem = problem_from_document(unpack(asked["graph"]))
            key = add_problem(problem, problem.name, "From a link.")
        else:
            key = asked.get("problem", "")
        if key in own_problems() or key in {source.key for source in samples()}:
            state["problem"] = key
            if "settings" in asked:
                settings = settings_from_document(unpack(asked["settings"]))
                settings.apply(base_problem(key))
                put_settings(key, settings)
        elif key:
            state["link_error"] = (
                f"There is no problem '{key[:60]}' here; links to uploaded problems end with "
                "their session, so send the scenario file instead."
            )
    except PlannerError as error:
        state["link_error"] = f"The link was not followed: {error}."


def link_of(key: str) -> dict[str, str] | None:
    """Return the parameters that restore the scenario; None if it is too large for a link."""
    linked: dict[str, str] = {}
    if key in own_problems():
        problem = base_problem(key)
        if problem.template.n_operators > MOST_LINKED_OPERATORS:
            return None
        linked["graph"] = pack(problem_document(problem))
    else:
        linked["problem"] = key
    changed = settings_document(settings_of(key))
    if changed:
        linked["settings"] = pack(changed)
    return linked if sum(map(len, linked.values())) <= LINK_LIMIT else None


def write_link(key: str) -> None:
    """Put the scenario into the address of the page."""
    linked = link_of(key) or {}
    if st.query_params.to_dict() != linked:
        st.query_params.from_dict(linked)


def scenario_popover(key: str) -> None:
    """Draw the scenario as a file and as a link."""
    # The file is made when the button is pressed, outside of the session: look things up now.
    problem, settings = base_problem(key), settings_of(key)
    with st.popover("Scenario", icon=":material/bookmark:", width="stretch"):
        st.caption(
            "A scenario is the problem with everything set here: objective, budgets, cluster, "
            "micro-batches, limits. Open its file with **Upload a problem**."
        )
        download("Scenario (JSON)", lambda: dump_scenario(problem, settings), "scenario.json")
        st.caption(
            "The address of this page is a link to it."
            if link_of(key) is not None
            else "It is too large for a link; send the file."
        )
