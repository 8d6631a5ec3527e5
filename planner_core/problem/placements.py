"""Where pipelines put their stages: which devices they use and in what order."""

from __future__ import annotations

import numpy as np

from planner_core.problem.errors import InputError
from planner_core.problem.problem import Problem

PLACEMENTS: tuple[str, ...] = ("linear", "interleaved", "v", "bidirectional", "wave")
"""Ways of laying stages on devices."""


def stage_devices(placement: str, devices: int, chunks: int = 2) -> list[list[int]]:
    """Device of every stage, one list per direction.

    ``linear``: stage s on device s. ``interleaved`` (Narayanan et al. 2021): ``chunks`` rounds
    over the devices. ``v`` (Qi et al. 2024, "Pipeline Parallelism with Controllable Memory"):
    down the devices and back up. ``wave`` (Hanayo, Liu et al. 2023): ``chunks`` legs, down and
    up in turn. ``bidirectional`` (Chimera, Li and Hoefler 2021; DualPipe, DeepSeek-AI 2024): a
    second copy of the stages runs the other way.

    Raises
    ------
    InputError
        If the placement is unknown or ``chunks`` is below 1.
    """
    down = list(range(devices))
    up = down[::-1]
    if placement == "linear":
        return [down]
    if placement == "v":
        return [down + up]
    if placement == "bidirectional":
        return [down, up]
    if placement not in PLACEMENTS:
        raise InputError(f"placement is '{placement}'; it must be one of {', '.join(PLACEMENTS)}")
    if chunks < 1:
        raise InputError(f"chunks is {chunks}; it must be 1 or more")
    if placement == "interleaved":
        return [down * chunks]
    return [[k for leg in range(chunks) for k in (up if leg % 2 else down)]]


def pipeline_devices(problem: Problem) -> list[int]:
    """Devices a pipeline can use: those the operators may run on, hosts only if all are hosts."""
    usable = np.isfinite(problem.durations).any(axis=0)
    workers = usable & ~problem.cluster.host
    return np.flatnonzero(workers if workers.any() else usable).tolist()
