"""Turn what the schema refuses into one sentence that names the item and what to change."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from planner_core.formats.schema import adapter
from planner_core.problem import InputError

_TAGS = {"single", "object", "list"}

_ITEMS = {
    "operators": "operator",
    "tensors": "tensor",
    "parameter_groups": "parameter group",
    "devices": "device",
    "links": "link",
    "transfers": "transfer",
}

_EXPECTED = {
    "string_type": "text in quotes",
    "list_type": "a list",
    "dict_type": "an object",
    "bool_type": "true or false",
    "too_short": "a list with at least one entry",
    "string_too_short": "text of at least one character",
    "string_too_long": "text of at most 1000 characters",
}


def validated(which: str, document: dict[str, Any]) -> dict[str, Any]:
    """Return a native document that has the right shape.

    Parameters
    ----------
    which : {"problem", "plan", "scenario"}
    document : dict

    Raises
    ------
    InputError
        One sentence about the first thing that is wrong.
    """
    try:
        return adapter(which).validate_python(document)
    except ValidationError as error:
        raise InputError(_sentence(which, document, error)) from None


def _sentence(which: str, document: dict[str, Any], error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=True)
    first = problems[0]
    for candidate in problems:  # a wrong format explains everything else
        if candidate["loc"] == ("format",):
            first = candidate
    path = [part for part in first["loc"] if part not in _TAGS]
    item, rest = _item(document, path)
    kind, context = first["type"], first.get("ctx", {})
    if not path:
        return f"the {which} file must be an object"
    if path == ["format"]:
        return _wrong_format(which, document)
    if kind == "missing":
        return f"{item} has no {rest[-1]}; add it"
    if kind == "extra_forbidden":
        parent = first["loc"][:-1]
        unknown = [
            str(p["loc"][-1])
            for p in problems
            if p["type"] == "extra_forbidden" and p["loc"][:-1] == parent
        ]
        return f"{item} has {_unknown_keys(unknown, which, first['loc'])}"
    if not rest:
        return f"{item} is {_shown(first['input'])}; it must be an object"
    expected = _expected(kind, rest, context)
    if isinstance(rest[-1], int):
        return f"{item} has {_shown(first['input'])} in {rest[0]}; each entry must be {expected}"
    return f"{item} has {_label(rest)} {_shown(first['input'])}; it must be {expected}"


def _item(document: Any, path: Sequence[Any]) -> tuple[str, list[Any]]:
    """Name the innermost item a path leads to; return its name and the path inside it."""
    name, rest = "the file", list(path)
    here = document
    for depth, part in enumerate(path):
        try:
            here = here[part]
        except (KeyError, IndexError, TypeError):
            break
        listed = depth == 1 or "cluster" in path[:depth]
        if isinstance(part, int) and listed and path[depth - 1] in _ITEMS:
            name, rest = _named(_ITEMS[path[depth - 1]], part, here), list(path[depth + 1 :])
        elif part in ("cluster", "objective") and isinstance(here, dict) and depth + 1 < len(path):
            name, rest = f"the {part}", list(path[depth + 1 :])
        elif part == "default" and depth + 1 < len(path):
            name, rest = "the default link", list(path[depth + 1 :])
    return name, rest


def _named(what: str, number: int, value: Any) -> str:
    if isinstance(value, dict):
        if isinstance(value.get("id"), str) and value["id"]:
            return f"{what} '{value['id']}'"
        if what == "link" and "source" in value and "target" in value:
            return f"the link from '{value['source']}' to '{value['target']}'"
        if what == "transfer" and "tensor" in value:
            return f"the transfer of '{value['tensor']}'"
    return f"{what} number {number + 1}"


def _label(rest: Sequence[Any]) -> str:
    if rest[0] == "duration" and len(rest) > 1:
        return f"duration on {rest[1]}"
    if rest[0] == "subject_to" and len(rest) > 1:
        return "a budget for" if rest[-1] == "[key]" else f"a budget for {rest[1]} of"
    return ", ".join(map(str, rest))


def _expected(kind: str, rest: Sequence[Any], context: dict[str, Any]) -> str:
    if kind == "literal_error":
        return f"one of {context['expected']}".replace(" or ", ", ")
    if kind in ("dict_type", "float_type") and rest[0] == "duration" and len(rest) == 1:
        return "a finite number, 0 or more, or an object of device types"
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    if rest[-1] in ("stage", "micro_batch", "micro_batches"):
        low = 1 if rest[-1] == "micro_batches" else 0
        return f"a whole number from {low} to {2**31 - 1}"
    if rest[-1] in ("bandwidth", "speed", "time_limit"):
        return "a finite number above 0"
    if rest[-1] in ("start", "finish", "idle"):
        return "a finite number"
    return "a finite number, 0 or more"


def _wrong_format(which: str, document: dict[str, Any]) -> str:
    wanted = f"parallelism-{which}/1"
    if "format" not in document:
        return f'the file has no format; a {which} file begins with "format": "{wanted}"'
    return (
        f"the file has format {_shown(document['format'])}; this version reads {which} files "
        f"of format '{wanted}'"
    )


def _unknown_keys(unknown: list[str], which: str, loc: Sequence[Any]) -> str:
    known = _known_keys(which, [part for part in loc[:-1] if not isinstance(part, int)])
    names = ", ".join(f"'{key[:60]}'" for key in unknown[:5])
    close = difflib.get_close_matches(unknown[0], known, n=1)
    advice = f"did you mean '{close[0]}'?" if close and len(unknown) == 1 else "remove it"
    if len(unknown) > 1:
        return f"the unknown keys {names}; remove them (known keys: {', '.join(known)})"
    if close:
        return f"the unknown key {names}; {advice}"
    return f"the unknown key {names}; {advice} (known keys: {', '.join(known)})"


def _known_keys(which: str, path: Sequence[str]) -> list[str]:
    """Keys of the object that a path of keys (list positions left out) leads to."""
    schema: dict[str, Any] = adapter(which).json_schema()
    definitions = schema.get("$defs", {})
    here = _resolved(schema, definitions)
    for part in path:
        if part in _TAGS:
            wanted = "array" if part == "list" else "object"
            options = [_resolved(s, definitions) for s in here.get("oneOf", ())]
            here = next((s for s in options if s.get("type") == wanted), here)
        else:
            here = _resolved(here["properties"][part], definitions)
        if here.get("type") == "array":
            here = _resolved(here["items"], definitions)
    return list(here.get("properties", ()))


def _resolved(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[-1]]
    return schema


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f"'{value[:60]}'" + ("…" if len(value) > 60 else "")
    if isinstance(value, list | dict):
        kind = "object" if isinstance(value, dict) else "list"
        return (
            f"an {'' if value else 'empty '}{kind}" if kind == "object" or not value else "a list"
        )
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**15:
        return "a number that is too large"
    return json.dumps(value)
