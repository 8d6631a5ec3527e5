"""Work that cannot always be interrupted, kept to its time."""

from __future__ import annotations

import time
from collections.abc import Callable

from planner_core.background import background_thread
from planner_core.search.state import SearchState

LEAVING_SECONDS = 0.3
"""How long work that is told to stop is waited for."""


def run_guarded(work: Callable[[], None], state: SearchState, deadline: float, name: str) -> bool:
    """Run work in a thread of its own, which is left behind when time is up.

    On a fresh machine code is compiled first, which takes seconds and cannot be interrupted.

    Parameters
    ----------
    work : callable
        Improves ``state``.
    state : SearchState
    deadline : float
        ``time.monotonic()`` at which to wait no longer.
    name : str
        Of the thread.

    Returns
    -------
    bool
        Whether the work has ended.
    """
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as failure:
            failures.append(failure)

    thread = background_thread(run, name)
    thread.start()
    while thread.is_alive() and time.monotonic() < deadline and not state.cancel.is_set():
        thread.join(0.02)
    thread.join(LEAVING_SECONDS)
    if thread.is_alive():
        return False
    if failures:
        raise failures[0]
    return True
