"""Threads beside the caller's: what cannot be interrupted is left behind, and waited for at exit.

A thread that is inside compiled code or a solver when the interpreter goes away takes the whole
process with it ("terminate called without an active exception"). So the end of the process first
tells every search to stop, and then waits a while for the threads that are still at work.
"""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Callable

EXIT_GRACE = 30.0
"""Seconds the end of the process waits, at most, for all threads together."""

ending = threading.Event()
"""Set when the process ends: searches stop, whatever their time limit."""

_threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
_lock = threading.Lock()


def background_thread(work: Callable[[], object], name: str) -> threading.Thread:
    """Return a thread, not yet started, that the end of the process waits for.

    It is a daemon, so that it does not keep the process before the searches are told to stop.

    Parameters
    ----------
    work : callable
    name : str
        Of the thread.
    """
    thread = threading.Thread(target=work, daemon=True, name=name)
    with _lock:
        _threads.add(thread)
    return thread


@atexit.register
def _wait_for_threads() -> None:
    ending.set()
    deadline = time.monotonic() + EXIT_GRACE
    with _lock:
        threads = list(_threads)
    for thread in threads:
        if thread.is_alive():
            thread.join(max(0.0, deadline - time.monotonic()))
