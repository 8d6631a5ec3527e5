"""How one run of annealing is cut into calls of compiled code, and how many moves one gets."""

from __future__ import annotations

import time
from collections.abc import Iterator

CALL_SECONDS = 0.05
"""Compiled code comes back about this often."""

FEWEST_MOVES = 20
"""Of a call, however slow moves are."""


def cooling(seconds: float, hot: float, cold: float) -> Iterator[tuple[float, float]]:
    """Yield the temperatures one call begins and ends with, over about so many seconds."""
    begin, progress = time.monotonic(), 0.0
    step = max(CALL_SECONDS / max(seconds, 1e-3), 1e-3)
    while progress < 1.0:
        after = min(1.0, progress + step)
        yield hot * (cold / hot) ** progress, hot * (cold / hot) ** after
        progress = max(progress + step / 10, (time.monotonic() - begin) / max(seconds, 1e-3))


class Pace:
    """Moves a second, measured as it goes.

    Parameters
    ----------
    rate : float
        First guess.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def moves(self, seconds: float = CALL_SECONDS) -> int:
        """Moves that take about so long."""
        self._begin = time.monotonic()
        self._moves = max(FEWEST_MOVES, int(self.rate * seconds))
        return self._moves

    def took(self) -> None:
        """Learn from the call that :meth:`moves` was asked for last."""
        spent = max(1e-4, time.monotonic() - self._begin)
        self.rate = 0.5 * self.rate + 0.5 * min(self._moves / spent, 1e7)
