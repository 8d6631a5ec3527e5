"""A picture of a schedule a few hundred pixels wide, as SVG: coloured cells, nothing else."""

from __future__ import annotations

from planner_core.charts.cells import shades
from planner_core.charts.rows import rows
from planner_core.charts.theme import LIGHT, Theme, shade
from planner_core.problem import KINDS, Problem
from planner_core.schedule import Schedule

WIDTH, HEIGHT = 240, 72
"""Size of the drawing's own coordinates; the picture fills what it is given."""

MOST_CELLS = 1500
"""Of a larger schedule every k-th operator is drawn."""


def thumbnail(
    problem: Problem, schedule: Schedule, theme: Theme = LIGHT, *, label: str = ""
) -> str:
    """Return a schedule as a small SVG picture.

    Parameters
    ----------
    problem : Problem
    schedule : Schedule
    theme : Theme
    label : str
        What a screen reader says in place of the picture.

    Returns
    -------
    str
        One ``svg`` element that scales to the width of its container.
    """
    names, row_of = rows(problem, schedule)
    shade_of, n_shades = shades(problem, schedule)
    tall = HEIGHT / len(names)
    scale = WIDTH / schedule.makespan if schedule.makespan > 0 else 0.0
    gap = min(1.0, 0.15 * tall)
    parts = [
        f'<rect x="0" y="{row * tall:.2f}" width="{WIDTH}" height="{tall - gap:.2f}" '
        f'fill="{theme.idle}"/>'
        for row in range(len(names))
    ]
    n = problem.graph.n_operators
    for o in range(0, n, max(1, -(-n // MOST_CELLS))):
        left = scale * float(schedule.start[o])
        wide = scale * float(schedule.finish[o] - schedule.start[o])
        colour = shade(KINDS[problem.graph.kind[o]], int(shade_of[o]), n_shades)
        parts.append(
            f'<rect x="{left:.2f}" y="{row_of[o] * tall:.2f}" '
            f'width="{max(0.0, wide - min(0.35, 0.2 * wide)):.2f}" height="{tall - gap:.2f}" '
            f'fill="{colour}"/>'
        )
    said = _attribute(label or problem.name)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'preserveAspectRatio="none" width="100%" height="{HEIGHT}" role="img" '
        f'aria-label="{said}">{"".join(parts)}</svg>'
    )


def _attribute(text: str) -> str:
    kept = "".join(c for c in text if c.isprintable())
    return kept.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
