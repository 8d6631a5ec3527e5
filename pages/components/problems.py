"""The problems a session can choose from: samples, uploads and generated ones."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePath
from typing import Any

import numpy as np
import streamlit as st

from pages.components.setup import ROOT
from planner_core.formats import UPLOAD_LIMIT, native, parse_problem_file
from planner_core.model_files import ModelSettings, is_model, parse_model
from planner_core.problem import Cluster, Problem
from planner_core.problem.settings import Settings
from planner_core.schedule import micro_batch_count

SAMPLES = ROOT / "sample_graphs"


@dataclass(frozen=True)
class Source:
    """One choice: a key for links, a title, and a line on what it teaches."""

    key: str
    title: str
    teaches: str


@lru_cache(maxsize=1)
def samples() -> tuple[Source, ...]:
    """Return the samples in the order of their index."""
    return tuple(
        Source(row["file"].removesuffix(".json"), row["title"], row["teaches"])
        for row in _index()["samples"]
    )


def default_key() -> str:
    """Key of the sample that is open at first."""
    return _index()["default"].removesuffix(".json")


def _index() -> dict[str, Any]:
    return json.loads((SAMPLES / "index.json").read_text(encoding="utf-8"))


@lru_cache(maxsize=32)
def sample_problem(key: str) -> Problem:
    """Return the problem of a sample."""
    return parse_problem_file((SAMPLES / f"{key}.json").read_bytes())


def own_problems() -> dict[str, tuple[Source, Problem]]:
    """Problems this session uploaded or generated, by key."""
    return st.session_state.setdefault("own_problems", {})


def sources() -> dict[str, Source]:
    """Everything that can be chosen, by key."""
    own = {key: source for key, (source, _) in own_problems().items()}
    return own | {source.key: source for source in samples()}


def base_problem(key: str) -> Problem:
    """Return the problem of a choice, as given."""
    own = own_problems().get(key)
    return own[1] if own else sample_problem(key)


def add_problem(problem: Problem, title: str, teaches: str) -> str:
    """Add a problem to the session's choices and return its key."""
    taken = set(sources())
    stem = "".join(c if c.isalnum() else "_" for c in title.lower()).strip("_") or "problem"
    key = next(
        name
        for name in (stem, *(f"{stem}_{i}" for i in range(2, len(taken) + 3)))
        if name not in taken
    )
    own_problems()[key] = (Source(key, title, teaches), problem)
    return key


def read_upload(name: str, data: bytes, settings: ModelSettings) -> str:
    """Read an uploaded file and add it; return its key.

    Parameters
    ----------
    name : str
        Of the file.
    data : bytes
    settings : ModelSettings
        Devices and costs, for a file that holds a model.

    Raises
    ------
    InputError
        One sentence on what is wrong.
    """
    model = is_model(data)
    problem = parse_model(data, settings if model else ModelSettings(), UPLOAD_LIMIT)
    # Formats without a name of the problem name it after themselves.
    title = problem.name if native.sniff(data) else PurePath(name).stem or problem.name
    costs = f" {settings.words}" if model else ""
    return add_problem(problem, title, f"Uploaded from {name}.{costs}")


@lru_cache(maxsize=128)
def with_settings(
    problem: Problem,
    *,
    minimize: tuple[str, ...] | None = None,
    budgets: tuple[tuple[str, float], ...] | None = None,
    memory: float | None = None,
    micro_batches: int | None = None,
    cluster: Cluster | None = None,
) -> Problem:
    """Return a problem with settings applied; the same object for the same settings.

    Raises
    ------
    InputError, NotApplicable
        If a setting is out of range or does not go with the problem.
    """
    return Settings(
        minimize=minimize,
        subject_to=None if budgets is None else dict(budgets),
        memory=memory,
        micro_batches=micro_batches,
        cluster=cluster,
    ).apply(problem)


def configured(problem: Problem, settings: Settings) -> Problem:
    """Return :func:`with_settings` of a record of settings."""
    budgets = settings.subject_to
    return with_settings(
        problem,
        minimize=settings.minimize,
        budgets=None if budgets is None else tuple(sorted(budgets.items())),
        memory=settings.memory,
        micro_batches=settings.micro_batches,
        cluster=settings.cluster,
    )


def common_memory(problem: Problem) -> float | None:
    """The memory limit all devices share; None if they differ or have none."""
    limits = np.unique(problem.cluster.memory)
    return float(limits[0]) if len(limits) == 1 and np.isfinite(limits[0]) else None


def facts(problem: Problem) -> str:
    """One line on the size of a problem."""
    graph = problem.graph
    parts = [_count(graph.n_operators, "operator"), _count(problem.n_devices, "device")]
    batches = micro_batch_count(problem)
    if batches > 1:
        parts.append(f"{batches} micro-batches")
    stages = int(graph.stage.max(initial=-1)) + 1
    if stages > 1:
        parts.append(f"{stages} stages")
    parts.append("fixed placement" if problem.is_placed else "free placement")
    return " · ".join(parts)


def _count(number: int, of: str) -> str:
    return f"{number:,} {of}{'' if number == 1 else 's'}"


__all__ = [
    "Source",
    "add_problem",
    "base_problem",
    "common_memory",
    "configured",
    "default_key",
    "facts",
    "own_problems",
    "read_upload",
    "sample_problem",
    "samples",
    "sources",
    "with_settings",
]
