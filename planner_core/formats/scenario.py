"""The scenario file (``parallelism-scenario/1``): a problem and what was set beside it.

The same documents, packed into a few hundred letters, make links that restore a scenario.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import Any

from planner_core.formats.json_text import UPLOAD_LIMIT, dump_object, load_object
from planner_core.formats.messages import validated
from planner_core.formats.native import cluster_document, problem_document, problem_from_document
from planner_core.formats.schema import SCENARIO_FORMAT
from planner_core.problem import InputError, Problem, build_cluster
from planner_core.problem.settings import TIME_LIMIT, Settings

LINK_LIMIT = 6000
"""Letters of a packed document that a link may hold; browsers and servers cut longer ones."""

_UNPACKED_LIMIT = 2**20
"""Bytes a packed document may unfold to."""


def sniff(data: bytes) -> bool:
    """Whether a file claims to be a scenario."""
    return b"parallelism-scenario/" in data[:200]


def dump_scenario(problem: Problem, settings: Settings) -> str:
    """Return a scenario file as text: the problem as given, and the settings."""
    document = {
        "format": SCENARIO_FORMAT,
        "problem": problem_document(problem),
        "settings": settings_document(settings),
    }
    return dump_object(document)


def parse_scenario(data: str | bytes, max_bytes: int = UPLOAD_LIMIT) -> tuple[Problem, Settings]:
    """Return the problem and the settings of a scenario file, checked together.

    Raises
    ------
    InputError
        One sentence that names the item that is wrong and what to change.
    """
    record = validated("scenario", load_object(data, max_bytes))
    problem = problem_from_document(record["problem"])
    settings = _settings(record.get("settings", {}))
    settings.apply(problem)
    return problem, settings


def settings_document(settings: Settings) -> dict[str, Any]:
    """Return settings as a document; what is as in the problem is left out."""
    document: dict[str, Any] = {}
    if settings.minimize is not None:
        document["minimize"] = list(settings.minimize)
    if settings.subject_to is not None:
        document["subject_to"] = dict(settings.subject_to)
    if settings.memory is not None:
        document["memory"] = settings.memory
    if settings.micro_batches is not None:
        document["micro_batches"] = settings.micro_batches
    if settings.time_limit != TIME_LIMIT:
        document["time_limit"] = settings.time_limit
    if settings.merging != "automatic":
        document["merging"] = settings.merging
    if settings.merging_cap is not None:
        document["merging_cap"] = settings.merging_cap
    if settings.cluster is not None:
        document["cluster"] = cluster_document(settings.cluster)
    return document


def settings_from_document(document: dict[str, Any]) -> Settings:
    """Return the settings of a document; InputError names what is wrong."""
    record = validated("scenario", {"format": SCENARIO_FORMAT, "problem": {}, "settings": document})
    return _settings(record["settings"])


def pack(document: dict[str, Any]) -> str:
    """Return a document as letters that may stand in a link."""
    return base64.urlsafe_b64encode(zlib.compress(dump_object(document).encode(), 9)).decode()


def unpack(text: str) -> dict[str, Any]:
    """Return the document that :func:`pack` made into letters.

    Raises
    ------
    InputError
        If the letters are cut off, changed, or unfold to too much.
    """
    if len(text) > 2 * LINK_LIMIT:
        raise InputError("the link is too long; open the scenario as a file")
    try:
        inflater = zlib.decompressobj()
        data = inflater.decompress(base64.urlsafe_b64decode(text.encode()), _UNPACKED_LIMIT)
    except (binascii.Error, zlib.error, UnicodeEncodeError):
        data = b""
    if not data or not inflater.eof:
        raise InputError("the link is cut off or changed; copy it again as a whole")
    return load_object(data, _UNPACKED_LIMIT)


def _settings(record: dict[str, Any]) -> Settings:
    minimize = record.get("minimize")
    cluster = record.get("cluster")
    if cluster is not None:
        cluster = build_cluster(
            cluster["devices"], cluster.get("links"), cluster.get("transfers", "overlapped")
        )
    return Settings(
        minimize=(minimize,) if isinstance(minimize, str) else minimize and tuple(minimize),
        subject_to=record.get("subject_to"),
        memory=record.get("memory"),
        micro_batches=record.get("micro_batches"),
        cluster=cluster,
        time_limit=record.get("time_limit", TIME_LIMIT),
        merging=record.get("merging", "automatic"),
        merging_cap=record.get("merging_cap"),
    )
