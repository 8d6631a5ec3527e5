"""Buttons whose file is made from what the page shows once it stands still."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

GRACE = 0.2
"""Seconds in which a click that also ended the typing in a field sets off a rerun."""

PATIENCE = 10.0
"""Seconds until a file is made of what was shown last, although a rerun has not come to it."""

_TYPES = {"json": "application/json", "csv": "text/csv", "html": "text/html"}


@dataclass(eq=False)
class Makers:
    """How each file of a session is made, and by which of its runs that was said.

    A click on a button right after typing sends the typed value and asks for the file at once.
    The file then must not be that of before, and one made while a rerun goes on would be thrown
    away at its end.
    """

    runs: int = 0
    latest: dict[str, tuple[int, Callable[[], str]]] = field(default_factory=dict)

    def now(self, key: str) -> str:
        """Make a file as the last run says, waiting for the one that goes on."""
        time.sleep(GRACE)
        end = time.monotonic() + PATIENCE
        while self.latest[key][0] < self.runs and time.monotonic() < end:
            time.sleep(GRACE / 4)
        return self.latest[key][1]()


def begin_run() -> None:
    """Note that the page is drawn anew."""
    _makers().runs += 1


def download(
    label: str,
    make: Callable[[], str],
    name: str,
    parent: DeltaGenerator | None = None,
    *,
    kept_as: str | None = None,
    **more: Any,
) -> None:
    """Draw a button that makes and hands out a file.

    Parameters
    ----------
    label : str
        What stands on it; unique on its page.
    make : callable
        Returns the text of the file. It runs outside of the session.
    name : str
        Name of the file.
    parent : container, optional
        Where it is drawn.
    kept_as : str, optional
        What tells the button from others if its label changes; else the label does.
    **more
        Other arguments of ``st.download_button``.
    """
    makers = _makers()
    key = kept_as or label
    makers.latest[key] = (makers.runs, make)
    (parent or st).download_button(
        label,
        lambda: makers.now(key),
        name,
        _TYPES.get(name.rsplit(".", 1)[-1], "text/plain"),
        icon=":material/download:",
        on_click="ignore",
        **more,
    )


def _makers() -> Makers:
    return st.session_state.setdefault("makers", Makers())
