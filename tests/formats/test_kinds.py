"""The kind of a file is told by its content, and no content crashes a reader."""

import contextlib
import json
from importlib import import_module

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_core.formats import READERS, parse_problem_file
from planner_core.problem import InputError, NotApplicable
from tests.formats.published_dag import as_dot, as_graphml, as_tables
from tests.formats.test_dnn_partitioning import SMALL as DNN
from tests.formats.test_piper import SMALL as PIPER

NATIVE = {
    "format": "parallelism-problem/1",
    "operators": [{"id": "a", "duration": 1.0}],
    "cluster": {"devices": [{"id": "g"}]},
}

SAMPLES = {
    "native": json.dumps(NATIVE).encode(),
    "dnn_partitioning": json.dumps(DNN).encode(),
    "piper": json.dumps(PIPER).encode(),
    "graphml": as_graphml(),
    "dot": as_dot(),
    "csv_tables": as_tables(),
}


@pytest.mark.parametrize("module", SAMPLES)
def test_one_reader_claims_each_sample(module):
    claims = [
        name
        for name in READERS.values()
        if import_module(f"planner_core.formats.{name}").sniff(SAMPLES[module])
    ]
    assert claims == [module]


def test_unknown_content_is_refused_with_the_kinds():
    with pytest.raises(InputError, match="GraphML, DOT, CSV tables, ONNX"):
        parse_problem_file(b"hello")


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_pieces_of_valid_files_raise_input_errors_only(data):
    """Truncated, repeated and spliced files, and files with numbers and words exchanged."""
    content = data.draw(st.sampled_from(sorted(SAMPLES.values())))
    for _ in range(data.draw(st.integers(1, 3))):
        a, b = sorted(data.draw(st.tuples(*[st.integers(0, len(content))] * 2)))
        piece = data.draw(
            st.sampled_from(
                [b"", content[a:b] * 2, b"-1", b"1e999", b"nan", b"null", b"[]", b"{}", b"\x00",
                 b'"', b"<", b";", b"9" * 400, "é".encode(), b"&#0;", b"../../x", b"\r\n"]
            )
        )  # fmt: skip
        content = content[:a] + piece + content[b:]
    with contextlib.suppress(InputError, NotApplicable):
        parse_problem_file(content)


@settings(max_examples=300, deadline=None)
@given(
    head=st.sampled_from([b"", b"\x08\x07", b"{", b"PK\x03\x04", b"digraph", b"<graphml", b"id,"]),
    tail=st.binary(max_size=60),
)
def test_any_bytes_raise_input_errors_only(head, tail):
    with contextlib.suppress(InputError, NotApplicable):
        parse_problem_file(head + tail)
