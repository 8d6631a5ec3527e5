"""Step through time: play, pause, one step; what runs and what is held at each instant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import plotly.graph_objects as go
import streamlit as st

from pages.components.lessons.examples import Example, short_name
from pages.components.setup import theme
from planner_core.analysis.instant import DeviceNow, at, instants
from planner_core.charts import Entry, comparison
from planner_core.charts.numbers import number
from planner_core.charts.step_through import show_instant

PACE = 0.8
"""Seconds a step stays on screen while playing."""

_PLAYING, _FIGURE = "tour playing", "tour figure"


@dataclass(frozen=True, eq=False)
class _Base:
    """A chart without an instant."""

    key: str
    entries: list[Entry]
    figure: go.Figure


def player(examples: Sequence[Example], key: str, *, note: Sequence[str] = ()) -> None:
    """Draw schedules on one time axis with controls that move through time.

    Parameters
    ----------
    examples : sequence of Example
        At least one.
    key : str
        Names schedules and numbers: another key starts at the end again, the whole picture.
    note : sequence of str
        Beside the title of each example.
    """
    times = instants(example.schedule for example in examples)
    place = f"tour step {key}"
    st.session_state.setdefault(place, len(times) - 1)
    playing = st.session_state.get(_PLAYING) == key
    base = _base(examples, key, note)

    @st.fragment(run_every=PACE if playing else None)
    def draw() -> None:
        if playing and st.session_state.get(_PLAYING) == key:
            _advance(place, len(times), 1)
            if st.session_state[place] == len(times) - 1:
                st.session_state[_PLAYING] = None
        if playing != (st.session_state.get(_PLAYING) == key):
            st.rerun()
        step = _controls(place, times, key, playing)
        done = step == len(times) - 1
        _chart(base, None if done else times[step], key)
        _now(examples, times[step], done=done)

    draw()


def stop_playing() -> None:
    """Let time stand still, whatever was playing."""
    st.session_state[_PLAYING] = None


def _controls(place: str, times: list[float], key: str, playing: bool) -> int:
    last = len(times) - 1
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.button(
            "Pause" if playing else "Play",
            icon=":material/pause:" if playing else ":material/play_arrow:",
            on_click=_toggle,
            args=(place, len(times), key),
            key=f"tour play {key}",
        )
        for label, by, icon in (
            ("Back", -1, ":material/skip_previous:"),
            ("Step", 1, ":material/skip_next:"),
        ):
            st.button(
                label,
                icon=icon,
                on_click=_step,
                args=(place, len(times), by),
                disabled=st.session_state[place] == (0 if by < 0 else last),
                key=f"tour {label} {key}",
            )
        return st.select_slider(
            "Time (ms)",
            list(range(len(times))),
            format_func=lambda i: f"{number(times[i])} ms",
            key=place,
            help="A step goes to the next start or finish. What runs then is outlined, what comes "
            "later is pale.",
        )


def _toggle(place: str, count: int, key: str) -> None:
    if st.session_state.get(_PLAYING) == key:
        stop_playing()
        return
    st.session_state[_PLAYING] = key
    if st.session_state[place] == count - 1:
        st.session_state[place] = 0


def _step(place: str, count: int, by: int) -> None:
    stop_playing()
    _advance(place, count, by)


def _advance(place: str, count: int, by: int) -> None:
    st.session_state[place] = min(max(st.session_state[place] + by, 0), count - 1)


def _chart(base: _Base, time: float | None, key: str) -> None:
    show_instant(base.figure, base.entries, time, theme())
    st.plotly_chart(
        base.figure,
        theme=None,
        key=f"tour chart {key}",
        config={"displayModeBar": False, "scrollZoom": False},
    )


def _base(examples: Sequence[Example], key: str, note: Sequence[str]) -> _Base:
    """Return the whole picture; drawn anew only for other schedules or another theme."""
    key = f"{key} {theme().name}"
    kept: _Base | None = st.session_state.get(_FIGURE)
    if kept is not None and kept.key == key:
        return kept
    entries = [
        Entry(
            key=example.name,
            title=example.title,
            problem=example.problem,
            schedule=example.schedule,
            note=text,
        )
        for example, text in zip_longest(examples, note, fillvalue="")
    ]
    base = st.session_state[_FIGURE] = _Base(key, entries, comparison(entries, theme()))
    return base


def _now(examples: Sequence[Example], time: float, *, done: bool) -> None:
    """Say what every device does, one column per device."""
    devices = examples[0].problem.cluster.device_ids
    head = f"at {number(time)} ms" if not done else "at the end"
    lines = [f"| {head} | " + " | ".join(devices) + " |", "|:--|" + ":--|" * len(devices)]
    for example in examples:
        cells = [_cell(example, now) for now in at(example.problem, example.schedule, time)]
        lines.append(f"| {example.title} | " + " | ".join(cells) + " |")
    st.markdown("\n".join(lines))


def _cell(example: Example, now: DeviceNow) -> str:
    runs = " & ".join(short_name(example.problem, o) for o in now.running)
    return f"{f'**{runs}**' if runs else 'idle'}, holds {number(round(now.memory, 6))}"
