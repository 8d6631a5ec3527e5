"""``python -m planner_core``: the command line."""

import time

STARTED = time.monotonic()  # before the imports: time limits include them

if __name__ == "__main__":
    import sys

    from planner_core.cli import main

    sys.exit(main(started=STARTED))
