"""Forms for the library's generators of problems."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from pages.components.fields import (
    BATCH,
    EFFICIENCIES,
    MACHINES,
    TRAINING,
    Field,
    Values,
    draw_fields,
    model_settings,
)
from pages.components.problems import add_problem
from planner_core.problem import InputError, PlannerError, Problem
from planner_core.problem.forward import Forward
from planner_core.workloads import (
    PLACEMENTS,
    deepseek_layer_pair,
    multimodal,
    parse_job_shop,
    pipeline,
    random_layered,
    training,
    transformer,
    unet,
)
from planner_core.workloads.samples import FT06

MOST_GENERATED = 50_000
"""Operators, micro-batches counted, that a form makes; more belongs on the command line."""

PER_ROW = 5
"""Fields of a form beside each other."""


@dataclass(frozen=True)
class Generator:
    """A form and what it makes."""

    title: str
    about: str
    fields: tuple[Field, ...]
    make: Callable[[Values], Problem]


def generate() -> None:
    """Draw the choice of a generator and its form; a generated problem is chosen."""
    name = st.segmented_control(
        "Generator",
        list(GENERATORS),
        format_func=lambda name: GENERATORS[name].title,
        default="pipeline",
        required=True,
        key="generator",
        label_visibility="collapsed",
    )
    name = name or "pipeline"
    chosen = GENERATORS[name]
    st.caption(chosen.about)
    with st.form(f"generate {name}"):
        values = draw_fields(chosen.fields, name, PER_ROW)
        if not st.form_submit_button("Generate", type="primary", icon=":material/add:"):
            return
    try:
        _check_size(values)
        problem = chosen.make(values)
        _check_count(problem.template.n_operators * problem.micro_batches)
    except PlannerError as error:
        text = str(error)
        st.error(f"{text[:1].upper()}{text[1:]}.", icon=":material/error:")
        return
    costs = f" {model_settings(values).words}" if "compute_efficiency" in values else ""
    teaches = f"Generated here.{costs}"
    st.session_state["next problem"] = add_problem(problem, problem.name, teaches)
    st.rerun()


def _check_size(values: Values) -> None:
    """Refuse what would keep the page busy for long, before anything is made."""
    layers = values.get("layers", 1) + sum(v for k, v in values.items() if k.endswith("_layers"))
    size = layers * values.get("micro_batches", 1) * values.get("experts", 0) + max(
        layers * values.get("micro_batches", 1),
        values.get("operators", 1),
        values.get("devices", 1) * values.get("chunks", 1) * values.get("micro_batches", 1),
    )
    _check_count(size)


def _check_count(operators: int) -> None:
    if operators > MOST_GENERATED:
        raise InputError(
            f"this would make more than {MOST_GENERATED:,} operators; make it smaller here or use "
            "the library"
        )


def _pipeline(values: Values) -> Problem:
    settings = dict(values)
    share = settings.pop("released") / 100
    return pipeline(
        settings.pop("devices"), settings.pop("batches"), released_by_input=share, **settings
    )


def _model(make: Callable[..., Forward]) -> Callable[[Values], Problem]:
    """A maker of models: on like devices, with or without a backward pass."""

    def made(values: Values) -> Problem:
        costed = model_settings(values)
        settings = {k: v for k, v in values.items() if k not in _COSTED}
        trained, recompute = settings.pop("training"), settings.pop("recompute")
        if "stages" in settings and settings["stages"] == 0:
            settings.pop("stages")
        forward = make(**settings, cluster=costed.cluster, cost=costed.cost)
        return training(forward, recompute=recompute) if trained else forward.problem

    return made


def _random(values: Values) -> Problem:
    settings: Mapping[str, Any] = values
    return random_layered(
        settings["operators"],
        settings["devices"],
        seed=settings["seed"],
        degree=settings["degree"],
        duration=(settings["shortest"], settings["longest"]),
        size=(0.0, settings["size"]),
    )


_COSTED = {field.name for field in (*MACHINES, *EFFICIENCIES)}

_MODEL = (
    *MACHINES,
    *EFFICIENCIES,
    TRAINING,
    Field("recompute", "Recompute", False, "Saves activations of blocks only and runs them again."),
)
_BATCHES = Field("micro_batches", "Micro-batches", 4, "Repeats of the graph.", 1, 1024)

_TRANSFORMER = (
    Field("layers", "Layers", 8, "Transformer layers.", 1, 256),
    Field("hidden", "Hidden", 4096, "Width of the model.", 1),
    Field("heads", "Heads", 32, "Attention heads; they divide the width.", 1, 1024),
    Field("sequence", "Sequence (tokens)", 4096, "Tokens of a sequence.", 1),
    Field("vocabulary", "Vocabulary", 32000, "Tokens known.", 1),
    Field("stages", "Stages", 4, "Pipeline stages of equal layers; 0 for none.", 0, 256),
)

GENERATORS: dict[str, Generator] = {
    "pipeline": Generator(
        "Pipeline",
        "Stages × micro-batches on given devices: what 1F1B, zero bubble and DualPipe schedule.",
        (
            Field("devices", "Devices", 8, "How many devices.", 1, 64),
            Field("batches", "Micro-batches", 20, "How many micro-batches.", 1, 256),
            Field(
                "placement",
                "Placement",
                "bidirectional",
                "linear: stage s on device s. interleaved: several rounds over the devices. "
                "v: down the devices and back. wave: several legs. bidirectional: a second copy "
                "runs the other way.",
                options=PLACEMENTS,
            ),
            Field("chunks", "Chunks", 2, "Stages per device, if interleaved or wave.", 1, 8),
            Field(
                "memory",
                "Memory (activations)",
                9.0,
                "Limit per device, in saved activations of one stage.",
                0,
            ),
            Field("forward", "F (ms)", 1.0, "Forward of one stage.", 0),
            Field("backward_input", "I (ms)", 1.0, "Backward for the input.", 0),
            Field("backward_weight", "W (ms)", 1.0, "Backward for the weights.", 0),
            Field("transfer", "Transfer (ms)", 0.0, "Time between two devices.", 0),
            Field(
                "released",
                "Freed by I (%)",
                0,
                "Share of a saved activation that I releases; W releases the rest.",
                0,
                100,
            ),
        ),
        _pipeline,
    ),
    "transformer": Generator(
        "Transformer",
        "A dense decoder-only transformer, operator by operator, timed by a roofline cost model.",
        (
            *_TRANSFORMER,
            Field("tensor_parallel", "Tensor parallel", 1, "Accelerators per operator.", 1, 64),
            BATCH,
            _BATCHES,
            *_MODEL,
        ),
        _model(transformer),
    ),
    "moe": Generator(
        "Mixture of experts",
        "A transformer whose feed-forward parts are experts: tokens are dispatched to them and "
        "combined again by all-to-all exchanges on the network stream.",
        (
            *_TRANSFORMER,
            Field("experts", "Experts", 8, "Per layer.", 1, 512),
            Field("top_k", "Experts per token", 2, "How many a token is sent to.", 1, 64),
            Field(
                "expert_parallel",
                "Expert parallel",
                2,
                "Accelerators experts lie on; they divide the experts. 1: no exchange.",
                1,
                512,
            ),
            BATCH,
            _BATCHES,
            *_MODEL,
        ),
        _model(transformer),
    ),
    "multimodal": Generator(
        "Multimodal",
        "A text and an image encoder that can run side by side, and joint layers over both.",
        (
            Field("text_layers", "Text layers", 4, "Of the text encoder.", 1, 128),
            Field("image_layers", "Image layers", 4, "Of the image encoder.", 1, 128),
            Field("joint_layers", "Joint layers", 2, "Over both, with cross-attention.", 1, 128),
            Field("hidden", "Hidden", 1024, "Width of the model.", 1),
            Field("heads", "Heads", 16, "Attention heads; they divide the width.", 1, 1024),
            BATCH,
            _BATCHES,
            *_MODEL,
        ),
        _model(multimodal),
    ),
    "unet": Generator(
        "U-Net",
        "Down to a small image and back up, with skip connections that stay in memory.",
        (
            Field("levels", "Levels", 4, "Halvings of the resolution.", 1, 12),
            Field("channels", "Channels", 64, "Of the first level.", 1, 4096),
            Field(
                "resolution", "Resolution (pixels)", 512, "Side; halved at every level.", 1, 8192
            ),
            BATCH,
            _BATCHES,
            *_MODEL,
        ),
        _model(unet),
    ),
    "deepseek": Generator(
        "DeepSeek layer pair",
        "One mixture-of-experts layer forward beside another's backward on one device: the "
        "exchanges of one hide behind the computation of the other.",
        (Field("layers", "Layers", 1, "Layers in each direction.", 1, 64),),
        lambda values: deepseek_layer_pair(values["layers"]),
    ),
    "random": Generator(
        "Random layers",
        "A random graph whose edges go from one layer to the next; any device may run anything.",
        (
            Field("operators", "Operators", 40, "How many operators.", 1, 20_000),
            Field("devices", "Devices", 3, "How many devices.", 1, 64),
            Field("degree", "Producers", 2.0, "Mean number per operator.", 1, 20),
            Field("shortest", "Shortest (ms)", 1.0, "Durations are uniform from here …", 0),
            Field("longest", "Longest (ms)", 10.0, "… to here.", 0),
            Field("size", "Largest tensor (MiB)", 5.0, "Sizes are uniform from 0 to here.", 0),
            Field("seed", "Seed", 0, "The same seed gives the same graph.", 0),
        ),
        _random,
    ),
    "job_shop": Generator(
        "Job shop",
        "Jobs whose steps run on given machines in a given order, in the text format of the "
        "OR-Library.",
        (
            Field(
                "jobs",
                "Jobs",
                FT06.strip(),
                "First the numbers of jobs and machines; then a "
                "line per job: machine (from 0) and duration of each step.",
            ),
        ),
        lambda values: parse_job_shop(values["jobs"]),
    ),
}
"""Every generator that has a form, by name."""
