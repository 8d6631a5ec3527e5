"""Fields of forms as records, and those that say which machines a model is costed for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from planner_core.model_files import ModelSettings
from planner_core.problem.hardware import DEVICE_TYPES, LINK_TYPES, CostModel

Values = dict[str, Any]


@dataclass(frozen=True)
class Field:
    """One field of a form.

    Parameters
    ----------
    name : str
        Also the keyword of the generator where it is passed on.
    label : str
        With its unit.
    value : number, bool, str or None
        The default; its type decides what is drawn.
    help : str
    low, high : number
        Limits of a number.
    options : tuple of str
        Choices of a text; without any it is written in lines.
    """

    name: str
    label: str
    value: int | float | bool | str | None
    help: str
    low: float = 1
    high: float = 1_000_000
    options: tuple[str, ...] = ()

    def key(self, form: str) -> str:
        """Key of its control in a form."""
        return f"make/{form}/{self.name}"


def draw_fields(fields: Sequence[Field], form: str, per_row: int) -> Values:
    """Draw the fields of a form, so many beside each other; return what they say."""
    values: Values = {}
    across = min(per_row, len(fields))
    for first in range(0, len(fields), per_row):
        columns = st.columns(across, vertical_alignment="bottom")
        for column, field in zip(columns, fields[first : first + per_row], strict=False):
            with column:
                values[field.name] = _drawn(field, form)
    return values


def _drawn(field: Field, form: str) -> Any:
    key = field.key(form)
    if field.options:
        return st.selectbox(
            field.label,
            field.options,
            index=field.options.index(str(field.value)),
            key=key,
            help=field.help,
        )
    if isinstance(field.value, str):
        return st.text_area(field.label, field.value, key=key, help=field.help, height=190)
    if isinstance(field.value, bool):
        return st.toggle(field.label, value=field.value, key=key, help=field.help)
    if isinstance(field.value, int):
        low, high = int(field.low), int(field.high)
        return int(st.number_input(field.label, low, high, field.value, key=key, help=field.help))
    return st.number_input(
        field.label,
        min_value=float(field.low),
        max_value=float(field.high),
        value=field.value,
        placeholder="unlimited",
        format="%g",
        key=key,
        help=field.help,
    )


_RATES = CostModel()

MACHINES = (
    Field("devices", "Devices", 4, "How many devices.", 1, 256),
    Field("device_type", "Type", "H100", "Rates of its data sheet.", options=tuple(DEVICE_TYPES)),
    Field("link", "Link", "NVLink 4", "Between every pair.", options=tuple(LINK_TYPES)),
)
"""What a model is laid on."""

EFFICIENCIES = (
    Field(
        "compute_efficiency", "Compute efficiency", _RATES.compute_efficiency,
        "Share of the data sheet's FLOP/s that large matrix products reach. An operator takes "
        "the longer of its arithmetic and its memory traffic, plus the launch overhead (roofline).",
        0.01, 1,
    ),
    Field(
        "memory_efficiency", "Memory efficiency", _RATES.memory_efficiency,
        "Share of the data sheet's memory bandwidth that streaming operators reach.", 0.01, 1,
    ),
    Field(
        "link_efficiency", "Link efficiency", _RATES.link_efficiency,
        "Share of the link's bandwidth that large transfers and exchanges reach.", 0.01, 1,
    ),
    Field(
        "launch_overhead", "Launch overhead (µs)", 1e6 * _RATES.launch_overhead,
        "Added to the duration of every operator.", 0, 1_000_000,
    ),
)  # fmt: skip
"""Of the roofline that turns FLOPs and bytes into durations."""

BATCH = Field("batch", "Batch (samples)", 1, "Samples in a micro-batch.", 1, 4096)
TRAINING = Field("training", "Training", True, "Adds the backward pass, split into I and W.")

MODEL_FILE = (BATCH, *MACHINES, *EFFICIENCIES, replace(TRAINING, value=False))
"""What a model file is made into; defaults as on the command line."""


def model_settings(values: Values) -> ModelSettings:
    """Return devices, costs and the like that fields say."""
    names = [field.name for field in MODEL_FILE]
    return ModelSettings(**{name: values[name] for name in names if name in values})


def model_file_settings() -> ModelSettings:
    """Return what the fields for model files say, drawn or not."""
    state = st.session_state
    return model_settings({f.name: state.get(f.key("file"), f.value) for f in MODEL_FILE})
