"""Plain functions that large inputs run compiled.

Importing numba takes longer than most small problems, so the functions are written to run both
ways: interpreted on lists, compiled on arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

COMPILED_TASKS = 30_000
"""Up to this many tasks the interpreter is done before numba would have been imported."""


def run_sized(function: Callable[..., Any], size: int, *arguments: Any) -> Any:
    """Call a function, compiled if ``size`` pays for it; array arguments become lists if not."""
    if size > COMPILED_TASKS:
        return _compiled(function)(*arguments)
    return function(*(_listed(argument) for argument in arguments))


@cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    from numba import njit

    compiled: Callable[..., Any] = njit(nogil=True, cache=True)(function)
    return compiled


def _listed(argument: Any) -> Any:
    return argument.tolist() if isinstance(argument, np.ndarray) else argument
