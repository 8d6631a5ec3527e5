"""What the command line shows: a progress line while a search runs, and tables."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TextIO

import numpy as np

if TYPE_CHECKING:
    from planner_core.analysis.metrics import Metrics
    from planner_core.schedule import Plan
    from planner_core.search.progress import Progress

_BAR = 20


class ProgressLine:
    """Shows a running search on a stream: one line redrawn, or plain lines if it is no terminal.

    Parameters
    ----------
    time_limit : float
        Seconds that fill the bar.
    stream : text stream
        Standard error by default.
    """

    def __init__(self, time_limit: float, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._limit = max(time_limit, 1e-9)
        self._began = time.monotonic()
        self._last: Progress | None = None
        self._told = ""
        self._lock = threading.Lock()

    def __call__(self, event: Progress) -> None:
        """Take an event; may be called from any thread."""
        with self._lock:
            self._last = event
            if not self._live:
                text = self._figures()
                if text != self._told:
                    self._write(f"{event.elapsed:6.1f} s  {text}\n")
                    self._told = text

    def redraw(self) -> None:
        """Draw the line anew, on a terminal."""
        with self._lock:
            if self._live:
                elapsed = time.monotonic() - self._began
                full = min(_BAR, int(_BAR * elapsed / self._limit))
                bar = "█" * full + "░" * (_BAR - full)
                self._write(f"\r\x1b[K{bar} {elapsed:5.1f} s  {self._figures()}")

    def close(self) -> None:
        """Clear the line, on a terminal."""
        with self._lock:
            if self._live:
                self._write("\r\x1b[K")

    def _figures(self) -> str:
        if self._last is None:
            return "starting"
        parts = [self._last.phase]
        for label, value in (
            ("best", self._last.incumbent),
            ("bound", self._last.lower_bound),
        ):
            if value is not None and np.isfinite(value):
                parts.append(f"{label} {number(value)}")
        if self._last.gap is not None:
            parts.append(f"gap {share(self._last.gap)}")
        return "  ".join(parts)

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # nobody reads standard error any more
            self._live = False


def number(value: float | None) -> str:
    """Return a figure in at most ten significant digits; a dash for none."""
    if value is None:
        return "–"
    return "unlimited" if np.isinf(value) else f"{value:.10g}"


def share(value: float | None) -> str:
    """Return a share in per cent; a dash for none."""
    return "–" if value is None else f"{100 * value:.2f} %"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows in aligned columns: the first column to the left, the others to the right.

    A last column named ``note`` is set to the left.
    """
    widths = [max(len(row[c]) for row in (header, *rows)) for c in range(len(header))]

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if c == 0 or header[c] == "note" else cell.rjust(width)
            for c, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return "\n".join([line(header), "  ".join("─" * w for w in widths), *map(line, rows)])


def plan_summary(plan: Plan, figures: Metrics | None) -> str:
    """Return what a plan came to, as text."""
    problem = plan.problem
    objective, unit = problem.objective.primary, problem.time_unit
    lines = [f"{problem.name}: {_status_words(plan)}"]
    if figures is None:
        return "\n".join(lines)
    value_unit = {"makespan": unit, "period": unit}.get(objective, problem.memory_unit)
    rows = [
        ("makespan", f"{number(figures.makespan)} {unit}"),
        *([] if objective == "makespan" else [(objective, f"{number(plan.value)} {value_unit}")]),
        ("lower bound", f"{number(plan.lower_bound)} {value_unit}"),
        ("gap", share(plan.gap)),
        ("idle share", share(figures.idle_share)),
        ("found by", plan.found_by or "–"),
        ("proved by", plan.proved_by or "–"),
        ("time", f"{plan.seconds:.1f} s"),
    ]
    width = max(len(label) for label, _ in rows)
    lines += [f"  {label.ljust(width)}  {text}" for label, text in rows]
    lines += ["", device_table(figures, unit, problem.memory_unit)]
    return "\n".join(lines)


def device_table(figures: Metrics, time_unit: str, memory_unit: str) -> str:
    """Return busy and idle time and memory of every device as a table."""
    return table(
        (
            "device",
            f"busy ({time_unit})",
            f"idle ({time_unit})",
            "idle share",
            f"peak memory ({memory_unit})",
            "limit",
        ),
        [
            (
                device.id,
                number(device.busy),
                number(device.idle),
                share(device.idle_share),
                number(device.peak_memory),
                number(device.memory),
            )
            for device in figures.devices
        ],
    )


def _status_words(plan: Plan) -> str:
    if plan.status == "optimal":
        return "optimal, proved"
    if plan.status == "feasible":
        return "feasible; better plans are not ruled out"
    if plan.status == "infeasible":
        return f"infeasible, proved: {plan.reason or 'no schedule meets the limits'}"
    return plan.reason or "no plan was found in time; give a longer time limit"


def wait_for(
    work: threading.Thread,
    tick: Callable[[], None],
    until: float = math.inf,
    every: float = 0.1,
) -> bool:
    """Wait for a thread, calling ``tick`` at intervals, so that signals are answered at once.

    Parameters
    ----------
    work : Thread
    tick : callable
    until : float
        ``time.monotonic()`` at which to wait no longer.
    every : float
        Seconds between calls.

    Returns
    -------
    bool
        Whether the thread has ended.
    """
    while work.is_alive() and time.monotonic() < until:
        work.join(min(every, max(0.0, until - time.monotonic())))
        tick()
    return not work.is_alive()
