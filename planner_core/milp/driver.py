"""From a Pyomo model to HiGHS and back; knows nothing of operators.

Pyomo's own writers and solver interfaces cost more than the solve itself on these models (one
second and more for 50,000 rows), so linear rows are handed to HiGHS directly.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
import pyomo.environ as pyo
from pyomo.core.expr.numeric_expr import LinearExpression
from pyomo.repn import generate_standard_repn

from planner_core.background import background_thread, ending

LOOK_EVERY = 2_000
"""Rows compiled between two looks at whether to go on."""

GRACE = 1.0
"""Seconds HiGHS gets to react to an interrupt before its thread is left behind."""


def _greet_unheard() -> None:
    """Make the process's first HiGHS object, which prints a banner on standard output.

    Standard output belongs to the caller (tables, JSON lines). Nothing but redirecting the file
    descriptor helps, and at import no other thread of ours is writing yet.
    """
    try:
        out = os.dup(1)
    except OSError:
        return  # there is no standard output
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        highspy.Highs()
    finally:
        os.dup2(out, 1)
        os.close(out)
        os.close(nowhere)


_greet_unheard()


@dataclass(frozen=True)
class MipResult:
    """What HiGHS said.

    Parameters
    ----------
    status : {"optimal", "infeasible", "stopped"}
        ``stopped``: time limit, cancellation or any other end without a proof.
    values : float array or None
        Best solution, in the order of the model's variables.
    bound : float
        Proved bound on the objective.
    """

    status: str
    values: np.ndarray | None
    bound: float


@dataclass(frozen=True, eq=False)
class LinearModel:
    """A Pyomo model as columns and sparse rows, with its variables in column order."""

    lp: highspy.HighsLp
    variables: list[Any]

    @property
    def columns(self) -> int:
        """Number of variables."""
        return int(self.lp.num_col_)

    @property
    def rows(self) -> int:
        """Number of constraints."""
        return int(self.lp.num_row_)

    @property
    def nonzeros(self) -> int:
        """Number of coefficients."""
        return len(self.lp.a_matrix_.index_)


def compile_model(
    model: pyo.ConcreteModel, stopped: Callable[[], bool] = lambda: False
) -> LinearModel | None:
    """Return the columns and rows of a linear Pyomo model; None if ``stopped`` said so meanwhile.

    Raises
    ------
    ValueError
        If a constraint or the objective is not linear.
    """
    variables = list(model.component_data_objects(pyo.Var, active=True))
    column = {id(v): j for j, v in enumerate(variables)}
    starts, index, value = [0], [], []
    lower, upper = [], []
    infinity = highspy.kHighsInf
    for number, row in enumerate(model.component_data_objects(pyo.Constraint, active=True)):
        if number % LOOK_EVERY == 0 and stopped():
            return None
        constant, coefficients, terms = _linear(row.body)
        index.extend([column[id(v)] for v in terms])
        value.extend(coefficients)
        starts.append(len(index))
        low, high = pyo.value(row.lower), pyo.value(row.upper)
        lower.append(-infinity if low is None else low - constant)
        upper.append(infinity if high is None else high - constant)
    cost = np.zeros(len(variables))
    offset, sense = 0.0, pyo.minimize
    for objective in model.component_data_objects(pyo.Objective, active=True):
        offset, coefficients, terms = _linear(objective.expr)
        sense = objective.sense
        np.add.at(cost, [column[id(v)] for v in terms], np.asarray(coefficients, dtype=float))
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(variables), len(lower)
    lp.col_cost_ = cost
    lp.offset_ = float(offset)
    lp.sense_ = highspy.ObjSense.kMinimize if sense == pyo.minimize else highspy.ObjSense.kMaximize
    bounds = [v.bounds for v in variables]
    lp.col_lower_ = np.array([-infinity if b[0] is None else b[0] for b in bounds], dtype=float)
    lp.col_upper_ = np.array([infinity if b[1] is None else b[1] for b in bounds], dtype=float)
    lp.row_lower_, lp.row_upper_ = np.array(lower, dtype=float), np.array(upper, dtype=float)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.num_col_, lp.a_matrix_.num_row_ = len(variables), len(lower)
    lp.a_matrix_.start_ = np.array(starts)
    lp.a_matrix_.index_ = np.array(index, dtype=np.int32)
    lp.a_matrix_.value_ = np.array(value, dtype=float)
    lp.integrality_ = [
        highspy.HighsVarType.kContinuous if v.is_continuous() else highspy.HighsVarType.kInteger
        for v in variables
    ]
    return LinearModel(lp, variables)


def _linear(expression: Any) -> tuple[float, Any, Any]:
    """Constant, coefficients and variables of a linear expression."""
    if isinstance(expression, LinearExpression):
        return expression.constant, expression.linear_coefs, expression.linear_vars
    form = generate_standard_repn(expression, quadratic=False)
    if not form.is_linear():
        raise ValueError("the model is not linear")
    return pyo.value(form.constant), form.linear_coefs, form.linear_vars


def solve(
    model: LinearModel,
    *,
    deadline: float,
    cancelled: Callable[[], bool] = lambda: False,
    presolve: bool = False,
    start: np.ndarray | None = None,
    cutoff: float | None = None,
    on_solution: Callable[[np.ndarray], None] | None = None,
    on_bound: Callable[[float], None] | None = None,
    seed: int = 0,
) -> MipResult:
    """Solve with HiGHS in a thread of its own until done, cancelled or the deadline.

    Parameters
    ----------
    model : LinearModel
    deadline : float
        On the clock of ``time.monotonic()``.
    cancelled : callable
        Looked at every 50 ms and by HiGHS's interrupt callback.
    presolve : bool
        Presolve (probing above all) costs more than it saves on step formulations.
    start : float array, optional
        A solution to start from; HiGHS completes one that names the first columns only.
    cutoff : float, optional
        Solutions that are not better are of no interest.
    on_solution, on_bound : callable, optional
        Called from the solver's thread with every better solution and bound.
    seed : int

    Returns
    -------
    MipResult
    """
    if _contradicts_itself(model):
        return MipResult("infeasible", None, np.inf)
    if model.columns == 0:
        return MipResult("optimal", np.zeros(0), float(model.lp.offset_))
    stop = threading.Event()
    highs = highspy.Highs()
    highs.silent()
    highs.setOptionValue("threads", 1)
    highs.setOptionValue("random_seed", seed)
    highs.setOptionValue("presolve", "on" if presolve else "off")
    highs.setOptionValue("time_limit", max(0.0, deadline - time.monotonic()))
    highs.setOptionValue("mip_rel_gap", 0.0)
    highs.setOptionValue("mip_abs_gap", 1e-9)
    if cutoff is not None:
        highs.setOptionValue("objective_bound", cutoff)
    if highs.passModel(model.lp) == highspy.HighsStatus.kError:
        raise ValueError("HiGHS refuses the model")
    if start is not None:
        highs.setSolution(len(start), np.arange(len(start), dtype=np.int32), start)

    def interrupt(event: Any) -> None:
        if on_bound is not None:
            on_bound(float(event.data_out.mip_dual_bound))
        if stop.is_set() or ending.is_set() or cancelled():
            event.interrupt()

    def improved(event: Any) -> None:
        if on_solution is not None:
            on_solution(np.array(event.data_out.mip_solution))

    for channel in (highs.cbMipInterrupt, highs.cbSimplexInterrupt, highs.cbIpmInterrupt):
        channel.subscribe(interrupt)
    highs.cbMipImprovingSolution.subscribe(improved)
    thread = background_thread(highs.run, "highs")
    thread.start()
    while thread.is_alive():
        thread.join(0.05)
        if not stop.is_set() and (cancelled() or time.monotonic() > deadline):
            stop.set()
            thread.join(GRACE)
            if thread.is_alive():
                return MipResult("stopped", None, -np.inf)
    return _result(highs)


def _contradicts_itself(model: LinearModel) -> bool:
    """Whether a row without variables cannot hold; without presolve HiGHS overlooks such rows."""
    empty = np.diff(np.asarray(model.lp.a_matrix_.start_)) == 0
    lower, upper = np.asarray(model.lp.row_lower_), np.asarray(model.lp.row_upper_)
    return bool(np.any(empty & ((lower > 0) | (upper < 0))))


def _result(highs: highspy.Highs) -> MipResult:
    status = highs.getModelStatus()
    info = highs.getInfo()
    values = None
    if info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible:
        values = np.array(highs.getSolution().col_value)
    if status == highspy.HighsModelStatus.kOptimal:
        return MipResult("optimal", values, info.objective_function_value)
    if status in (
        highspy.HighsModelStatus.kInfeasible,
        highspy.HighsModelStatus.kUnboundedOrInfeasible,
    ):
        return MipResult("infeasible", None, np.inf)
    return MipResult("stopped", values, info.mip_dual_bound)
