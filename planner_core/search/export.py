"""The mixed-integer programme itself as a file, for other solvers and for readers."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from planner_core.bounds import makespan_bound
from planner_core.problem import InputError, NotApplicable, Problem

if TYPE_CHECKING:
    import pyomo.environ as pyo

# Pyomo and HiGHS take seconds to import: only who writes a model waits for them.

FORMATS: dict[str, str] = {"lp": "CPLEX LP format", "mps": "MPS, free format"}
"""File name ending and what it is called."""

MOST_COEFFICIENTS = 600_000
"""Largest model written: some 30 MB of text and about ten seconds."""


def export_model(problem: Problem, file_format: str = "lp", horizon: float | None = None) -> bytes:
    """Return the time-indexed model "is there a schedule that ends by the horizon?".

    A solution of it is a schedule, and on an exact grid its infeasibility proves that every
    schedule takes longer.

    Parameters
    ----------
    problem : Problem
        Minimising the makespan.
    file_format : {"lp", "mps"}
    horizon : float, optional
        In the problem's time unit; default the best lower bound.

    Raises
    ------
    InputError
        If the format is unknown, the horizon is no time, or the model would be too large.
    NotApplicable
        If the problem minimises something else, or nothing can end by the horizon.
    """
    from planner_core.search.questions import FreeQuestion, PlacedQuestion, Question

    if file_format not in FORMATS:
        raise InputError(f"the format is '{file_format}'; it must be one of {', '.join(FORMATS)}")
    if problem.objective.primary != "makespan":
        raise NotApplicable(
            "the model asks for a makespan and this problem minimises "
            f"{problem.objective.primary}; choose the makespan as objective"
        )
    bound = makespan_bound(problem).value
    limit = bound if horizon is None else horizon
    if not 0 < limit < np.inf:
        raise InputError(f"the horizon is {limit:g}; it must be a time above 0")
    if limit < bound * (1 - 1e-9):
        raise NotApplicable(
            f"no schedule ends by {limit:g}: every one takes {bound:g} or more; "
            "give a later horizon"
        )
    kind = PlacedQuestion if problem.is_placed else FreeQuestion
    question: Question = kind.of(problem, limit)
    slots = question.slots(limit)
    size = question.nonzeros(slots)
    if size > MOST_COEFFICIENTS:
        raise InputError(
            f"the model has about {size:,} coefficients; at most {MOST_COEFFICIENTS:,} are "
            "written, so take fewer micro-batches or an earlier horizon"
        )
    built = question.build(slots)
    if built is None:
        raise NotApplicable(f"no schedule ends by {limit:g}; give a later horizon")
    return written(built.model, file_format)


def written(model: pyo.ConcreteModel, file_format: str) -> bytes:
    """Return the text of a linear Pyomo model, with its names where the format can hold them."""
    import highspy
    import pyomo.environ as pyo

    from planner_core.milp.driver import compile_model

    compiled = compile_model(model)
    assert compiled is not None  # nothing stops it
    rows = model.component_data_objects(pyo.Constraint, active=True)
    compiled.lp.col_names_ = _names("x", [v.name for v in compiled.variables])
    compiled.lp.row_names_ = _names("c", [row.name for row in rows])
    highs = highspy.Highs()
    highs.silent()
    if highs.passModel(compiled.lp) == highspy.HighsStatus.kError:
        raise ValueError("HiGHS refuses the model")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model.{file_format}"
        highs.writeModel(str(path))
        return path.read_bytes()


def _names(letter: str, names: list[str]) -> list[str]:
    """Names of letters, digits and underscores; numbers where they would not stay apart."""
    plain = [re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") for name in names]
    if len(set(plain)) < len(plain):
        return [f"{letter}{i}" for i in range(len(names))]
    return [f"{letter}_{name}" for name in plain]
