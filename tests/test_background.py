"""Threads that are left behind do not abort the process, and learn that it ends."""

import subprocess
import sys

WORK = """
import sys
import time
import numpy as np
import pyomo.environ as pyo
from planner_core.milp.driver import compile_model, solve
from planner_core.search import Options
from planner_core.search.guarded import run_guarded
from planner_core.search.state import new_state
from planner_core.workloads import pipeline

random = np.random.default_rng(0)
weights = random.integers(1, 1000, size=(41, 150)).tolist()
model = pyo.ConcreteModel()
model.x = pyo.Var(range(150), domain=pyo.Binary)
model.rows = pyo.ConstraintList()
for row in weights[1:]:
    model.rows.add(sum(w * model.x[j] for j, w in enumerate(row)) <= sum(row) // 2)
model.goal = pyo.Objective(expr=-sum(w * model.x[j] for j, w in enumerate(weights[0])))
compiled = compile_model(model)
state = new_state(pipeline(2, 2), Options(time_limit=0.3), None, None)


def work():
    # It does not look at the state: nothing but the end of the process stops it.
    solve(compiled, deadline=time.monotonic() + 300)


assert not run_guarded(work, state, state.clock.deadline, "work")
"""


def test_a_solver_that_is_left_behind_does_not_abort_the_process():
    for _ in range(2):
        run = subprocess.run(
            [sys.executable, "-c", WORK], capture_output=True, text=True, timeout=250, check=False
        )
        assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
