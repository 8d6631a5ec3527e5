"""Read fields of other people's JSON: every fault is one sentence that names the item."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from planner_core.problem import InputError

_ABSENT = object()


def list_of(document: dict[str, Any], key: str, what: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the objects of a list and what to call each.

    Raises
    ------
    InputError
        If the list is absent or holds anything but objects.
    """
    rows = document.get(key)
    if not isinstance(rows, list):
        raise InputError(f"the file has no list '{key}'; add it")
    for i, row in enumerate(rows):
        where = f"{what} number {i + 1}"
        if not isinstance(row, dict):
            raise InputError(f"{where} is not an object; write it in braces")
        yield row, where


def items(document: dict[str, Any], key: str, what: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the objects of a list that have ids, called by them."""
    for row, where in list_of(document, key, what):
        yield row, f"{what} '{text(row, 'id', where)}'"


def number(row: dict[str, Any], key: str, where: str, default: Any = _ABSENT) -> float:
    """Return a finite number, 0 or more; InputError otherwise."""
    value = _value(row, key, where, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{where} has {key} {_shown(value)}; it must be a number")
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not (math.isfinite(result) and result >= 0):
        raise InputError(f"{where} has {key} {result:g}; it must be a finite number, 0 or more")
    return result


def integer(row: dict[str, Any], key: str, where: str, default: Any = _ABSENT) -> int:
    """Return a whole number; InputError otherwise."""
    value = _value(row, key, where, default)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{where} has {key} {_shown(value)}; it must be a whole number")
    return value


def flag(row: dict[str, Any], key: str, where: str, default: Any = _ABSENT) -> bool:
    """Return true or false, also written 1 or 0; InputError otherwise."""
    value = _value(row, key, where, default)
    if value not in (True, False, 0, 1):
        raise InputError(f"{where} has {key} {_shown(value)}; it must be true or false")
    return bool(value)


def text(row: dict[str, Any], key: str, where: str) -> str:
    """Return an id: text or a whole number, as text; InputError otherwise."""
    value = _value(row, key, where, _ABSENT)
    if isinstance(value, str) and 0 < len(value) <= 1000:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return str(value)
    raise InputError(f"{where} has {key} {_shown(value)}; it must be a number or text")


def _value(row: dict[str, Any], key: str, where: str, default: Any) -> Any:
    value = row.get(key, default)
    if value is _ABSENT:
        raise InputError(f"{where} has no {key}; add it")
    return value


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    shown = "null" if value is None else repr(value)
    return shown if len(shown) <= 40 else f"{shown[:40]}…"
