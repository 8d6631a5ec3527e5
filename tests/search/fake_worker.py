"""A worker that announces a few incumbents of a given problem, as its first argument says."""

import json
import sys
import time

from planner_core.baselines import run_baseline
from planner_core.formats.native import problem_from_document
from planner_core.schedule import Plan
from planner_core.search.progress import Progress
from planner_core.search.wire import plan_document, progress_document


def send(document):
    print(json.dumps(document), flush=True)


mode = sys.argv[1]
request = sys.stdin.readline()
if request:
    problem = problem_from_document(json.loads(request)["problem"])
    if mode == "options":
        send({"event": "error", "message": json.dumps(json.loads(request)["options"])})
        sys.exit(0)
    if mode == "refuse":
        send({"event": "error", "message": "device 'gpu0' needs at least 3"})
        sys.exit(0)
    schedule = run_baseline("gpipe", problem).schedule
    value = schedule.makespan
    send(
        progress_document(
            Progress(phase="baselines", elapsed=0.1, incumbent=value, lower_bound=1.0,
                     schedule=schedule, found_by="GPipe", proved_by="device load bound")
        )
    )  # fmt: skip
    if mode == "crash":
        print("out of luck", file=sys.stderr, flush=True)
        sys.exit(3)
    if mode == "slow":
        while sys.stdin.readline():
            time.sleep(0.01)
    send(
        plan_document(
            Plan(problem=problem, status="feasible", schedule=schedule, value=value,
                 lower_bound=1.0, proved_by="device load bound", found_by="GPipe", seconds=0.2)
        )
    )  # fmt: skip
