"""JSON in and out: bounded, without repeated keys, and with one item a line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from planner_core.problem import InputError

MIB = 2**20

UPLOAD_LIMIT = 32 * MIB
"""Largest file the app takes, in bytes: about 200,000 operators in the native format."""

FILE_LIMIT = 2048 * MIB
"""Largest file the command line reads, in bytes."""

PathLike = str | os.PathLike[str]


def check_size(n_bytes: int, max_bytes: int) -> None:
    """Refuse more than ``max_bytes`` bytes with an InputError."""
    if n_bytes > max_bytes:
        raise InputError(
            f"the file has {n_bytes / MIB:.1f} MiB; the largest accepted here is "
            f"{max_bytes / MIB:g} MiB, so give a smaller one or use the command line "
            f"(up to {FILE_LIMIT / MIB:g} MiB)"
            if max_bytes < FILE_LIMIT
            else f"the file has {n_bytes / MIB:.1f} MiB; the largest accepted is "
            f"{max_bytes / MIB:g} MiB, so merge operators before writing it"
        )


def read_bytes(path: PathLike, max_bytes: int = FILE_LIMIT) -> bytes:
    """Read a file of bounded size.

    Raises
    ------
    InputError
        If the file does not exist, cannot be read or is too large.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            check_size(os.fstat(stream.fileno()).st_size, max_bytes)
            data = stream.read(max_bytes + 1)
    except OSError as error:
        raise InputError(f"cannot read '{file}': {_why(error)}") from None
    check_size(len(data), max_bytes)
    return data


def write_text(text: str, path: PathLike) -> None:
    """Write text as UTF-8.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    with writing(path):
        Path(path).write_text(text, encoding="utf-8")


@contextmanager
def writing(path: PathLike) -> Iterator[None]:
    """Turn what the operating system says of a file to be written into an InputError."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write '{path}': {_why(error)}") from None


def load_object(data: str | bytes, max_bytes: int = FILE_LIMIT) -> dict[str, Any]:
    """Parse one JSON object.

    Parameters
    ----------
    data : str or bytes
        UTF-8 if bytes; a byte-order mark is allowed.
    max_bytes : int

    Raises
    ------
    InputError
        If it is too large, not UTF-8, not JSON, not an object, nested too deeply, or repeats a
        key in one object.
    """
    check_size(len(data), max_bytes)
    if isinstance(data, bytes):
        try:
            data = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(
                f"the file is not UTF-8 text: byte {error.start} cannot be decoded; save it as "
                "UTF-8 JSON"
            ) from None
    try:
        document = json.loads(data, object_pairs_hook=_distinct)
    except json.JSONDecodeError as error:
        raise InputError(
            f"the file is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise InputError("the file nests objects or lists too deeply to be a problem") from None
    except InputError:
        raise
    except ValueError:  # Python refuses to convert integers of thousands of digits
        raise InputError("the file holds a whole number with too many digits") from None
    if "\\ud" in data or "\\uD" in data:
        _refuse_half_characters(document)
    if not isinstance(document, dict):
        kind = "a list" if isinstance(document, list) else "a single value"
        raise InputError(f"the file holds {kind}; it must be one JSON object")
    return document


def dump_object(document: Mapping[str, Any]) -> str:
    """Return JSON text with every item of the lists of objects on a line of its own."""
    return "".join(_lines(document, 0)) + "\n"


def _lines(value: Any, depth: int) -> Iterator[str]:
    indent, closing = "  " * (depth + 1), "  " * depth
    # Four levels hold everything that has lists of objects: file, cluster, its devices.
    if isinstance(value, Mapping) and depth < 2 and any(map(_is_block, value.values())):
        yield "{\n"
        for i, (key, item) in enumerate(value.items()):
            yield f"{',' if i else ''}{chr(10) if i else ''}{indent}{json.dumps(key)}: "
            yield from _lines(item, depth + 1)
        yield f"\n{closing}}}"
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        yield "[\n"
        for i, item in enumerate(value):
            yield f"{',' if i else ''}{chr(10) if i else ''}{indent}{_compact(item)}"
        yield f"\n{closing}]"
    else:
        yield _compact(value)


def _is_block(value: Any) -> bool:
    return isinstance(value, Mapping | list)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                of = f" of '{document['id']}'" if isinstance(document.get("id"), str) else ""
                raise InputError(f"the key '{key}'{of} is given twice in one object; keep one")
            seen.add(key)
    return document


def _refuse_half_characters(document: Any) -> None:
    try:
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"the file holds half a character, \\u{ord(error.object[error.start]):04x}; "
            "write the whole character"
        ) from None


def _why(error: OSError) -> str:
    reason = error.strerror or str(error)
    return reason[:1].lower() + reason[1:]
