"""``python -m planner_core``: the command line."""

import time

STARTED = time.monotonic()  # before the imports: time limits include them

if __name__ == "__main__":
    import os
    import sys
    import threading

    from planner_core.cli import main
    from planner_core.commands import SEARCH_THREAD

    code = main(started=STARTED)
    if any(thread.name == SEARCH_THREAD for thread in threading.enumerate()):
        # A search that overran its time is still inside the solver: do not wait for it.
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)
