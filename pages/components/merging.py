"""The merging level: a heuristic and a cap, and what they make of a graph."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from pages.components.problems import with_settings
from planner_core.charts.numbers import number
from planner_core.problem import Problem
from planner_core.problem.settings import MERGINGS

if TYPE_CHECKING:
    from planner_core.merging.merged import Merged

PLANNERS_OWN = ("automatic", "none")
"""Levels without a heuristic of the user's choice."""

_HELP = (
    "Merged operators are planned as one; the plan is then un-merged and improved operator by "
    "operator. " + " ".join(f"**{name}**: {text}." for name, text in MERGINGS.items())
)


def merging_fields(problem: Problem, key: str) -> None:
    """Draw heuristic and cap of a problem, and what they come to."""
    first, second = st.columns(2)
    method = first.selectbox(
        "Merging",
        list(MERGINGS),
        index=list(MERGINGS).index(chosen_merging(key)[0]),
        key=f"merging/{key}",
        help=_HELP,
    )
    own = method in PLANNERS_OWN
    second.number_input(
        f"Merging cap ({problem.time_unit})",
        min_value=0.0,
        value=None if own else st.session_state.get(f"merging_cap/{key}"),
        placeholder="none" if own else "0.2 % of the bound",
        format="%g",
        key=f"merging_cap/{key}",
        disabled=own,
        help="Work (least duration) that a merged operator may hold. Large ones wait for their "
        "last input, so a small cap keeps more parallelism.",
    )
    st.caption(outcome(problem, *chosen_merging(key)))


def chosen_merging(key: str) -> tuple[str, float | None]:
    """Return heuristic and cap set for a problem; a cap counts only with a heuristic."""
    method = st.session_state.get(f"merging/{key}") or "automatic"
    cap = st.session_state.get(f"merging_cap/{key}")
    return method, None if method in PLANNERS_OWN else cap


def outcome(problem: Problem, method: str, cap: float | None) -> str:
    """One line on what a merging level makes of a graph."""
    if method in PLANNERS_OWN:
        return MERGINGS[method][:1].upper() + MERGINGS[method][1:] + "."
    merged = merged_graph(problem, method, cap)
    before, after = problem.graph.n_operators, merged.n_macros
    if after == before:
        return (
            f"Nothing is merged with a cap of {number(merged.cap)} {problem.time_unit}; "
            "raise it, or choose another heuristic."
        )
    work = np.bincount(merged.macro, weights=problem.durations.min(axis=1))
    return (
        f"{before:,} operators become {after:,}; the largest holds {number(work.max())} "
        f"{problem.time_unit} of work."
    )


def macro_operators(problem: Problem, key: str) -> dict[str, int] | None:
    """Draw the merging level; return the macro-operator of every operator of one micro-batch."""
    once = with_settings(problem, micro_batches=1) if problem.micro_batches > 1 else problem
    merging_fields(once, key)
    method, cap = chosen_merging(key)
    if method in PLANNERS_OWN:
        return None
    merged = merged_graph(once, method, cap)
    return dict(zip(once.graph.operator_ids.tolist(), merged.macro.tolist(), strict=True))


@lru_cache(maxsize=32)
def merged_graph(problem: Problem, method: str, cap: float | None) -> Merged:
    """Return a graph merged by a heuristic; the same object for the same question."""
    from planner_core.merging.upper_level import merge  # it imports compiled code

    return merge(problem, method, cap=cap)
