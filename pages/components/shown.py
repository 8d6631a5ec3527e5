"""One schedule on screen, as charts and as a row of the table."""

from __future__ import annotations

from dataclasses import dataclass

from planner_core.analysis.table import Compared
from planner_core.charts import Entry


@dataclass(frozen=True, eq=False)
class Shown:
    """One schedule on screen."""

    entry: Entry
    row: Compared
