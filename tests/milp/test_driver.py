"""From Pyomo to HiGHS and back."""

import subprocess
import sys
import threading
import time

import numpy as np
import pyomo.environ as pyo
import pytest
from pyomo.core.expr.numeric_expr import LinearExpression

from planner_core.milp.driver import compile_model, solve


def soon() -> float:
    return time.monotonic() + 20.0


def knapsack(sense=pyo.maximize, n: int = 3) -> pyo.ConcreteModel:
    """Values 5, 4, 3 and weights 2, 3, 1: at most 5 of weight."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(n), domain=pyo.Binary)
    value, weight = [5, 4, 3], [2, 3, 1]
    model.room = pyo.Constraint(expr=sum(weight[i] * model.x[i] for i in range(n)) + 1 <= 6)
    model.worth = pyo.Objective(expr=sum(value[i] * model.x[i] for i in range(n)) + 10, sense=sense)
    return model


def test_constants_senses_and_bounds_reach_the_solver():
    result = solve(compile_model(knapsack()), deadline=soon())
    assert result.status == "optimal"
    assert result.bound == 19.0
    assert result.values == pytest.approx([1, 1, 0])
    assert solve(compile_model(knapsack(pyo.minimize)), deadline=soon()).bound == 10.0


def test_equations_and_ranges():
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(-3, 8))
    model.y = pyo.Var(domain=pyo.Integers, bounds=(0, 9))
    model.same = pyo.Constraint(expr=model.x + 2 * model.y == 4)
    model.between = pyo.Constraint(expr=(1, model.x + model.y, 3))
    model.goal = pyo.Objective(expr=model.x)
    result = solve(compile_model(model), deadline=soon())
    assert result.bound == pytest.approx(-2.0)
    assert result.values == pytest.approx([-2.0, 3.0])


def test_infeasible_is_said():
    model = knapsack()
    model.all = pyo.Constraint(expr=model.x[0] + model.x[1] + model.x[2] >= 3)
    assert solve(compile_model(model), deadline=soon()).status == "infeasible"


@pytest.mark.parametrize(("limit", "status"), [(1.0, "optimal"), (-1.0, "infeasible")])
def test_nothing_left_to_decide(limit, status):
    model = pyo.ConcreteModel()
    model.row = pyo.Constraint(
        expr=(None, LinearExpression(constant=0, linear_coefs=[], linear_vars=[]), limit)
    )
    assert solve(compile_model(model), deadline=soon()).status == status


def test_what_is_not_linear_is_refused():
    model = knapsack()
    model.bent = pyo.Constraint(expr=model.x[0] * model.x[1] <= 1)
    with pytest.raises(ValueError, match="not linear"):
        compile_model(model)


def test_compiling_stops_when_told():
    assert compile_model(knapsack(), lambda: True) is None


def hard() -> pyo.ConcreteModel:
    """Market split (Cornuéjols and Dawande 1998): tiny and hopeless for branch and bound."""
    random = np.random.default_rng(1)
    weight = random.integers(0, 100, (5, 40))
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(40), domain=pyo.Binary)
    model.split = pyo.Constraint(
        range(5),
        rule=lambda m, i: (
            sum(int(weight[i, j]) * m.x[j] for j in range(40)) == int(weight[i].sum()) // 2
        ),
    )
    model.goal = pyo.Objective(expr=0)
    return model


def test_cancellation_reaches_into_the_solver():
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    result = solve(compile_model(hard()), deadline=time.monotonic() + 60, cancelled=cancel.is_set)
    assert result.status == "stopped"
    assert cancel.is_set()


def test_deadline_ends_the_solve():
    assert solve(compile_model(hard()), deadline=time.monotonic() + 0.2).status == "stopped"


def test_better_solutions_are_announced():
    heard: list[np.ndarray] = []
    result = solve(compile_model(knapsack()), deadline=soon(), on_solution=heard.append)
    assert heard[-1] == pytest.approx(result.values)


def test_nothing_reaches_standard_output():
    """The worker process speaks JSON lines there."""
    code = (
        "import time, pyomo.environ as pyo\n"
        "from planner_core.milp.driver import compile_model, solve\n"
        "model = pyo.ConcreteModel()\n"
        "model.x = pyo.Var(domain=pyo.Binary)\n"
        "model.goal = pyo.Objective(expr=model.x)\n"
        "assert solve(compile_model(model), deadline=time.monotonic() + 9).status == 'optimal'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b""
