"""``python -m planner_core``: the command line."""

import time

STARTED = time.monotonic()  # before the imports: time limits include them

if __name__ == "__main__":
    import os
    import sys
    import threading

    from planner_core.cli import main

    code = main(started=STARTED)
    if threading.active_count() > 1:
        # A solver that has not yet noticed its interrupt is still running: do not wait for it.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
