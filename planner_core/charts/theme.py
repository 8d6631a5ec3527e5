"""Colours and type of every figure, for light and dark screens.

The kinds keep the colours of the pipeline-parallelism literature: blue forward, teal
backward-input, green backward-weight, orange fused backward. They also differ in lightness and
along the blue–yellow axis, so that colour-blind readers and grey prints tell them apart; a second
direction or chunk is a lighter shade of the same colour.
"""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

FONT = '"Source Sans", "Source Sans Pro", "Segoe UI", "Helvetica Neue", Arial, sans-serif'


@dataclass(frozen=True, kw_only=True)
class Theme:
    """Colours of a figure that do not carry data."""

    name: str
    paper: str
    text: str
    muted: str
    grid: str
    idle: str
    """Background of a device's row: what shows through is idle time."""
    outline: str
    """Around highlighted operators."""
    accent: str
    limit: str
    good: str
    ordered: tuple[str, ...]
    """Stops of an ordered scale; all read well on ``paper``."""


LIGHT = Theme(
    name="light",
    paper="#ffffff",
    text="#1b2430",
    muted="#5c6878",
    grid="#e3e8ee",
    idle="#eef1f5",
    outline="#111111",
    accent="#1f5fbf",
    limit="#b3261e",
    good="#1c7c54",
    ordered=("#27408b", "#1f7a9c", "#2a9d84", "#7aa63c", "#cf9410"),
)

DARK = Theme(
    name="dark",
    paper="#11161d",
    text="#e4e9f0",
    muted="#9aa7b8",
    grid="#2a333f",
    idle="#1c242e",
    outline="#ffffff",
    accent="#6aa5f5",
    limit="#ff8a80",
    good="#5ecb9a",
    ordered=("#7d97f4", "#45a8d8", "#35c2a3", "#9ccf55", "#f4cb4a"),
)

THEMES = {theme.name: theme for theme in (LIGHT, DARK)}

KIND_COLOURS: dict[str, tuple[str, str]] = {
    "forward": ("#2460b8", "#8fb8f2"),
    "backward_input": ("#0c7d79", "#86d5cf"),
    "backward_weight": ("#7d9f1f", "#cfe08a"),
    "backward": ("#c8690f", "#f6bd7b"),
    "optimizer": ("#7b4fb0", "#c9aeea"),
    "all_to_all": ("#b13a78", "#eba6cb"),
    "all_reduce": ("#8a5a44", "#d3b09e"),
    "other": ("#5f6f84", "#b3c0d0"),
}
"""First and last shade of each kind."""

KIND_TITLES: dict[str, str] = {
    "forward": "forward",
    "backward_input": "backward-input",
    "backward_weight": "backward-weight",
    "backward": "backward (fused)",
    "optimizer": "optimizer",
    "all_to_all": "all-to-all",
    "all_reduce": "all-reduce",
    "other": "operator",
}

SERIES = ("#2460b8", "#c8690f", "#0f8a86", "#b13a78", "#7d9f1f", "#7b4fb0", "#8a5a44", "#5f6f84")
"""Colours of series that are not kinds."""


def shade(kind: str, index: int, count: int) -> str:
    """Colour of a kind's shade ``index`` of ``count``."""
    first, last = KIND_COLOURS[kind]
    if count < 2:
        return first
    return blend(first, last, index / (count - 1))


def scale(position: float, theme: Theme) -> str:
    """Colour at ``position`` (0 … 1) of the theme's ordered scale."""
    stops = theme.ordered
    place = min(max(position, 0.0), 1.0) * (len(stops) - 1)
    low = min(int(place), len(stops) - 2)
    return blend(stops[low], stops[low + 1], place - low)


def blend(first: str, second: str, share: float) -> str:
    """Mix two ``#rrggbb`` colours; ``share`` of the second."""
    a, b = (tuple(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in (first, second))
    mixed = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)


def ink(background: str) -> str:
    """Black or white, whichever reads better on a colour (WCAG relative luminance)."""
    channels = (int(background[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#ffffff" if 1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.05 else "#000000"


def styled(figure: go.Figure, theme: Theme, *, height: int, left: int = 56) -> go.Figure:
    """Give a figure the theme's type, colours and margins."""
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": left, "r": 20, "t": 28, "b": 44},
        paper_bgcolor=theme.paper,
        plot_bgcolor=theme.paper,
        font={"family": FONT, "size": 13, "color": theme.text},
        hoverlabel={
            "bgcolor": theme.paper,
            "bordercolor": theme.muted,
            "font": {"family": FONT, "size": 13, "color": theme.text},
            "align": "left",
        },
        legend={
            "orientation": "h",
            "yanchor": "bottom",
            "y": 1.0,
            "xanchor": "right",
            "x": 1.0,
            "font": {"size": 13},
            "bgcolor": "rgba(0,0,0,0)",
        },
        modebar={
            "bgcolor": "rgba(0,0,0,0)",
            "color": theme.muted,
            "activecolor": theme.accent,
            "orientation": "v",
        },
    )
    axis = {
        "gridcolor": theme.grid,
        "linecolor": theme.grid,
        "zeroline": False,
        "tickfont": {"color": theme.muted, "size": 12},
        "title": {"font": {"color": theme.muted, "size": 13}},
    }
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure
