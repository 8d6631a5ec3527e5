"""Settings of the session: what the controls of a problem say, wherever they were drawn."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from pages.components.merging import chosen_merging
from pages.components.problems import base_problem, common_memory
from planner_core.problem import MEASURES, Cluster, Problem
from planner_core.problem.micro_batches import micro_batch_range
from planner_core.problem.settings import TIME_LIMIT, Settings

MEASURE_TITLES: dict[str, str] = {
    "makespan": "shortest makespan",
    "period": "shortest period",
    "peak_memory": "smallest peak memory",
    "transfer": "least transfer",
}
"""How the app says what is minimised."""

_SETTINGS = ("cluster", "objective", "then", "budget", "memory", "micro_batches", "merging",
             "merging_cap")  # fmt: skip
"""Beginnings of the keys of what can be set for a problem."""


def unit_of(problem: Problem, measure: str) -> str:
    """Unit of a measure."""
    return problem.time_unit if measure in ("makespan", "period") else problem.memory_unit


def given_cluster(problem: Problem, key: str) -> Problem:
    """Return a problem with the cluster of its Cluster page, if one was set there."""
    cluster = st.session_state.get(f"cluster/{key}")
    return problem if cluster is None else replace(problem, cluster=cluster)


def settings_of(key: str) -> Settings:
    """Return what is set for a problem; None where it is as the problem says."""
    state, base = st.session_state, base_problem(key)
    cluster: Cluster | None = state.get(f"cluster/{key}")
    primary = state.get(f"objective/{key}", base.objective.primary)
    same = primary == base.objective.primary
    rest = state.get(f"then/{key}/{primary}", base.objective.minimize[1:] if same else ())
    minimize = (primary, *rest)
    budgets = {
        name: value
        for name in MEASURES
        if name not in minimize
        and (value := state.get(f"budget/{name}/{key}", base.objective.subject_to.get(name)))
        is not None
    }
    limit = common_memory(given_cluster(base, key))
    memory = state.get(f"memory/{key}", limit)
    batches = state.get(f"micro_batches/{key}") or micro_batch_range(base)
    objective = base.objective
    merging, merging_cap = chosen_merging(key)
    return Settings(
        minimize=None if minimize == objective.minimize else minimize,
        subject_to=None if budgets == dict(objective.subject_to) else budgets,
        memory=None if memory == limit else memory,
        micro_batches=None if batches == micro_batch_range(base) else batches,
        cluster=cluster,
        time_limit=float(state.get("time_limit", TIME_LIMIT)),
        merging=merging,
        merging_cap=merging_cap,
    )


def put_settings(key: str, settings: Settings) -> None:
    """Make the controls of a problem say what a record of settings says."""
    state, base = st.session_state, base_problem(key)
    forget(key)
    if settings.cluster is not None:
        state[f"cluster/{key}"] = settings.cluster
    minimize = settings.minimize or base.objective.minimize
    budgets = base.objective.subject_to if settings.subject_to is None else settings.subject_to
    state[f"objective/{key}"] = minimize[0]
    state[f"then/{key}/{minimize[0]}"] = list(minimize[1:])
    for name in MEASURES:
        if name != minimize[0]:
            state[f"budget/{name}/{key}"] = budgets.get(name)
    if settings.memory is not None:
        state[f"memory/{key}"] = settings.memory
    if settings.micro_batches is not None:
        state[f"micro_batches/{key}"] = settings.micro_batches
    state[f"merging/{key}"] = settings.merging
    state[f"merging_cap/{key}"] = settings.merging_cap
    state["time_limit"] = max(1, min(3600, round(settings.time_limit)))


def forget(key: str, *beginnings: str) -> None:
    """Forget what the controls of a problem said: all of it, or what begins so."""
    known = beginnings or _SETTINGS
    for name in list(st.session_state):
        parts = str(name).split("/")
        if parts[0] in known and key in parts[1:]:
            del st.session_state[name]
