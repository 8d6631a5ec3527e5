"""How large a problem may be: refused before anything of that size is made."""

from __future__ import annotations

from planner_core.problem.errors import InputError

MAX_DEVICES = 1024
"""Links are stored for every pair of devices."""

MAX_OPERATORS = 10_000_000
"""Micro-batches counted."""


def check_counts(devices: int, operators: int) -> None:
    """Refuse a problem with too many devices or operators (micro-batches counted).

    Raises
    ------
    InputError
        With the number and the limit.
    """
    if devices > MAX_DEVICES:
        raise InputError(f"the cluster has {devices} devices; at most {MAX_DEVICES} are supported")
    if operators > MAX_OPERATORS:
        raise InputError(
            f"the graph has {operators} operators in all micro-batches; "
            f"at most {MAX_OPERATORS} are supported"
        )
