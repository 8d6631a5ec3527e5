"""The child process of a search: ``python -m planner_core.search.worker``.

One JSON line on standard input says what to plan; progress events, incumbents and the plan come
back as JSON lines on standard output. Standard input is the child's lifeline: its end (the
parent closed it, or died) cancels the search, and ten seconds later ends the process.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

NICENESS = 5
"""By how much a search stands back: whoever watches it is answered first."""

GRACE = 10.0
"""Seconds a cancelled search has to hand over its best plan."""


def main() -> int:
    """Plan what standard input asks for; return the exit code."""
    from planner_core import search
    from planner_core.formats.native import problem_from_document
    from planner_core.problem import PlannerError
    from planner_core.search.progress import Cancellation, Options, Progress
    from planner_core.search.wire import plan_document, progress_document

    if hasattr(os, "nice"):
        os.nice(NICENESS)
    # Whatever a library prints must not end up between the JSON lines.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    lock = threading.Lock()

    def send(document: dict[str, Any]) -> None:
        with lock:
            out.write(json.dumps(document) + "\n")
            out.flush()

    def report(progress: Progress) -> None:
        send(progress_document(progress))

    _import_ahead()
    send({"event": "ready"})
    line = sys.stdin.readline()
    if not line:
        return 0
    cancel = Cancellation()
    threading.Thread(target=_watch_lifeline, args=(cancel,), daemon=True).start()
    try:
        request = json.loads(line)
        problem = problem_from_document(request["problem"])
        options = Options(**request["options"])
        send(plan_document(search.plan(problem, options, on_progress=report, cancel=cancel)))
    except PlannerError as error:
        send({"event": "error", "message": str(error)})
    except BrokenPipeError:
        return 0
    except MemoryError:
        send({"event": "error", "message": "this machine has too little memory for the problem"})
    return 0


def _import_ahead() -> None:
    """Import what takes long, so that a waiting worker starts to search at once."""
    import highspy  # noqa: F401
    import numba  # noqa: F401
    import pyomo.environ  # noqa: F401


def _watch_lifeline(cancel: threading.Event) -> None:
    while sys.stdin.readline():
        pass
    cancel.set()
    threading.Event().wait(GRACE)
    os._exit(0)


if __name__ == "__main__":
    code = main()
    # Search threads that are still at work must not keep the process.
    sys.stderr.flush()
    os._exit(code)
