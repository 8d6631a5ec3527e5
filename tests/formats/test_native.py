"""The native problem file: round trips, and one clear sentence for every bad input."""

import contextlib
import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_core.formats import parse_problem_file, read_problem_file, write_problem_file
from planner_core.formats.json_text import UPLOAD_LIMIT, dump_object
from planner_core.formats.native import (
    parse_problem,
    problem_document,
    problem_from_document,
    read_problem,
    write_problem,
)
from planner_core.problem import InputError, Objective, Problem
from tests.strategies import problems

EXAMPLE = {
    "format": "parallelism-problem/1",
    "name": "two stages",
    "time_unit": "ms",
    "memory_unit": "MiB",
    "micro_batches": 4,
    "operators": [
        {
            "id": "F0",
            "duration": 1.0,
            "kind": "forward",
            "stage": 0,
            "devices": ["gpu0"],
            "parameters": ["w0"],
        },
        {
            "id": "A0",
            "duration": {"H100": 1.0, "A100": 2.1},
            "kind": "all_to_all",
            "stream": "network",
            "workspace": 0.5,
            "colocate": "s0",
        },
    ],
    "tensors": [{"id": "t0", "producer": "F0", "consumers": ["A0"], "size": 1.0}],
    "parameter_groups": [{"id": "w0", "size": 10.0}],
    "cluster": {
        "devices": [
            {"id": "gpu0", "type": "H100", "memory": 80.0, "speed": 1.0},
            {"id": "gpu1", "type": "A100"},
        ],
        "links": [
            {
                "source": "gpu0",
                "target": "gpu1",
                "latency": 0.01,
                "bandwidth": 400.0,
                "exclusive": False,
            }
        ],
    },
    "objective": {"minimize": "makespan"},
}


def assert_same(one: Problem, other: Problem) -> None:
    """Every figure of two problems is equal; the numbering of names may differ."""
    for key in ("name", "time_unit", "memory_unit", "micro_batches"):
        assert getattr(one, key) == getattr(other, key)
    assert one.objective.minimize == other.objective.minimize
    assert dict(one.objective.subject_to) == dict(other.objective.subject_to)
    a, b = one.template, other.template
    for column in ("kind", "duration", "stage", "micro_batch", "workspace", "size", "transfer"):
        np.testing.assert_array_equal(getattr(a, column), getattr(b, column))
    for column in ("operator_ids", "tensor_ids", "group_ids", "is_output", "group_size"):
        assert getattr(a, column).tolist() == getattr(b, column).tolist()
    for column in ("producer", "consumer_ptr", "consumer", "parameter_ptr", "parameter_index"):
        assert getattr(a, column).tolist() == getattr(b, column).tolist()
    for numbers, names in (
        ("stream", "stream_names"),
        ("colocation", "colocation_names"),
        ("device_set", "device_sets"),
    ):
        named = [
            [None if i < 0 else getattr(g, names)[i] for i in getattr(g, numbers).tolist()]
            for g in (a, b)
        ]
        assert named[0] == named[1]
    np.testing.assert_array_equal(one.durations, other.durations)
    for column in ("memory", "speed", "host", "latency", "exclusive"):
        np.testing.assert_array_equal(getattr(one.cluster, column), getattr(other.cluster, column))
    linked = one.cluster.has_link & ~np.eye(one.n_devices, dtype=bool)
    np.testing.assert_array_equal(one.cluster.bandwidth[linked], other.cluster.bandwidth[linked])
    for column in ("device_ids", "device_types", "staged"):
        assert getattr(one.cluster, column) == getattr(other.cluster, column)


def test_the_example_of_the_problem_model():
    problem = problem_from_document(EXAMPLE)
    assert problem.micro_batches == 4
    assert problem.graph.n_operators == 8
    assert problem.graph.operator_ids[6] == "F0@3"
    assert problem.durations[1].tolist() == [1.0, 2.1]
    assert problem.cluster.memory.tolist() == [80.0, np.inf]
    assert problem.transfer_time(0, 0, 1) == pytest.approx(0.01 + 1 / 400)
    assert problem.transfer_time(0, 1, 0) == np.inf


@settings(max_examples=150, deadline=None)
@given(problems(linked=False))
def test_round_trip(problem):
    text = dump_object(problem_document(problem))
    again = parse_problem(text.encode())
    assert_same(problem, again)
    assert dump_object(problem_document(again)) == text


@pytest.mark.parametrize(
    "objective",
    [
        Objective(("peak_memory",), {"makespan": 70.0}),
        Objective(("period", "transfer")),
    ],
)
def test_round_trip_of_objectives(objective, tmp_path):
    document = copy.deepcopy(EXAMPLE)
    problem = problem_from_document(document)
    problem = Problem(**{**vars_of(problem), "objective": objective})
    write_problem(problem, tmp_path / "p.json")
    assert_same(problem, read_problem(tmp_path / "p.json"))


def vars_of(problem):
    keys = ("template", "cluster", "micro_batches", "objective", "name")
    return {key: getattr(problem, key) for key in keys}


def test_absent_links_are_free_and_an_empty_list_is_none():
    document = copy.deepcopy(EXAMPLE)
    del document["cluster"]["links"]
    assert problem_from_document(document).transfer_time(0, 1, 0) == 0
    document["cluster"]["links"] = []
    assert problem_from_document(document).transfer_time(0, 1, 0) == np.inf
    document["cluster"]["links"] = {"default": {"latency": 2, "bandwidth": None}}
    assert problem_from_document(document).transfer_time(0, 1, 0) == 2


def operator(**changes):
    return lambda document: document["operators"][0].update(changes)


def tensor(**changes):
    return lambda document: document["tensors"][0].update(changes)


def device(**changes):
    return lambda document: document["cluster"]["devices"][0].update(changes)


def link(**changes):
    return lambda document: document["cluster"]["links"][0].update(changes)


def top(**changes):
    return lambda document: document.update(changes)


def without(key, *path):
    def change(document):
        for part in path:
            document = document[part]
        del document[key]

    return change


NAN, INF = float("nan"), float("inf")
NUMBER = "it must be a finite number, 0 or more"

BAD = [
    (operator(duration=-1), f"operator 'F0' has duration -1; {NUMBER}"),
    (operator(duration=NAN), f"operator 'F0' has duration nan; {NUMBER}"),
    (operator(duration=INF), f"operator 'F0' has duration inf; {NUMBER}"),
    (operator(duration=10**400), "operator 'F0' has duration a number that is too large"),
    (operator(duration=True), "operator 'F0' has duration true; it must be a finite number"),
    (operator(duration="1"), "operator 'F0' has duration '1'; it must be a finite number"),
    (operator(duration=None), "operator 'F0' has duration null"),
    (operator(duration={}), "operator 'F0' gives no duration; name a device type"),
    (operator(duration={"H100": -2}), f"operator 'F0' has duration on H100 -2; {NUMBER}"),
    (operator(duration={"TPU": 1}), "no device can run operator 'F0@0'"),
    (without("duration", "operators", 0), "operator 'F0' has no duration; add it"),
    (without("id", "operators", 1), "operator number 2 has no id; add it"),
    (operator(id=""), "operator number 1 has id ''; it must be text of at least one"),
    (operator(id=3), "operator number 1 has id 3; it must be text in quotes"),
    (operator(id="A0"), "operator 'A0' is given twice; give each an id of its own"),
    (operator(kind="fwd"), "operator 'F0' has kind 'fwd'; it must be one of 'forward',"),
    (operator(stage=1.5), "operator 'F0' has stage 1.5; it must be a whole number from 0"),
    (operator(stage=2**40), "operator 'F0' has stage 1099511627776; it must be a whole number"),
    (operator(micro_batch=1), "operator 'F0' names its micro_batch although micro_batches is 4"),
    (operator(devices=[]), "operator 'F0' has an empty device list; name a device"),
    (operator(devices=["gpu7"]), "operator 'F0' names device 'gpu7', which does not exist"),
    (operator(devices="gpu0"), "operator 'F0' has devices 'gpu0'; it must be a list"),
    (operator(devices=[0]), "operator 'F0' has 0 in devices; each entry must be text"),
    (operator(parameters=["w9"]), "operator 'F0' uses parameter group 'w9', which does not"),
    (operator(workspace=-1), f"operator 'F0' has workspace -1; {NUMBER}"),
    (
        operator(durration=1),
        "operator 'F0' has the unknown key 'durration'; did you mean 'duration'",
    ),
    (operator(x=1, y=2), "operator 'F0' has the unknown keys 'x', 'y'; remove them"),
    (tensor(producer="F9"), "tensor 't0' names the producer 'F9', which does not exist"),
    (tensor(consumers=["F9"]), "tensor 't0' names the consumer 'F9', which does not exist"),
    (tensor(consumers=["F0"]), "tensor 't0' is consumed by its own producer 'F0'; remove it"),
    (tensor(size=-1), f"tensor 't0' has size -1; {NUMBER}"),
    (tensor(transfer=INF), f"tensor 't0' has transfer inf; {NUMBER}"),
    (tensor(output=1), "tensor 't0' has output 1; it must be true or false"),
    (device(memory=-8), f"device 'gpu0' has memory -8; {NUMBER}"),
    (device(memory=INF), f"device 'gpu0' has memory inf; {NUMBER}"),
    (device(speed=0), "device 'gpu0' has speed 0; it must be a finite number above 0"),
    (device(id="gpu1"), "device 'gpu1' is given twice"),
    (link(latency=-1), f"the link from 'gpu0' to 'gpu1' has latency -1; {NUMBER}"),
    (link(bandwidth=0), "the link from 'gpu0' to 'gpu1' has bandwidth 0; it must be a finite"),
    (link(target="gpu0"), "a link joins 'gpu0' to itself; remove it"),
    (link(target="gpu9"), "names the device 'gpu9', which does not exist"),
    (link(speed=1), "the link from 'gpu0' to 'gpu1' has the unknown key 'speed'"),
    (top(operators=[], tensors=[]), "the graph has no operators; add at least one"),
    (top(operators={}), "the file has operators an empty object; it must be a list"),
    (top(operators=[1]), "operator number 1 is 1; it must be an object"),
    (top(cluster={"devices": []}), "the cluster has no devices; add at least one"),
    (top(cluster={"devices": [{"id": str(k)} for k in range(2000)]}), "has 2000 devices; at most"),
    (top(cluster=3), "the file has cluster 3; it must be an object"),
    (without("cluster"), "the file has no cluster; add it"),
    (without("format"), 'the file has no format; a problem file begins with "format":'),
    (top(format="parallelism-problem/9"), "the file has format 'parallelism-problem/9'; this"),
    (top(micro_batches=0), "the file has micro_batches 0; it must be a whole number from 1"),
    (top(micro_batches=10**9), "2000000000 operators in all micro-batches; at most 10000000"),
    (top(colour=1), "the file has the unknown key 'colour'"),
    (top(objective={"minimize": "cost"}), "the objective has minimize 'cost'; it must be one of"),
    (top(objective={"minimize": []}), "the objective has minimize an empty list"),
    (
        top(objective={"minimize": ["makespan", "makespan"]}),
        "the objective minimises the same measure twice",
    ),
    (
        top(objective={"subject_to": {"makespan": 1}}),
        "'makespan' is both minimised and limited by subject_to",
    ),
    (
        top(objective={"subject_to": {"period": -1}}),
        f"the objective has a budget for period of -1; {NUMBER}",
    ),
    (
        top(objective={"subject_to": {"cost": 1}}),
        "the objective has a budget for 'cost'; it must be one of 'makespan'",
    ),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=[message[:60] for _, message in BAD])
def test_bad_input_is_one_sentence_that_names_the_item(change, message):
    document = copy.deepcopy(EXAMPLE)
    change(document)
    with pytest.raises(InputError) as caught:
        problem_from_document(document)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_cycle_is_named():
    document = copy.deepcopy(EXAMPLE)
    document["tensors"].append({"id": "t1", "producer": "A0", "consumers": ["F0"]})
    with pytest.raises(InputError, match=r"cycle: '(F0' → 'A0' → 'F0|A0' → 'F0' → 'A0)'"):
        problem_from_document(document)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "the file is not JSON: .* at line 1, column 2"),
        ("PK\x03\x04", "the file is not JSON"),
        (b'{"name": "\xff"}', "not UTF-8 text: byte 10 cannot be decoded"),
        ("[1]", "the file holds a list; it must be one JSON object"),
        ("3", "the file holds a single value"),
        ("[" * 100_000, "nests objects or lists too deeply"),
        ('{"a": ' * 100_000, "nests objects or lists too deeply"),
        ('{"name": "a", "name": "b"}', "the key 'name' is given twice in one object; keep one"),
        ('{"operators": [{"id": "F0", "stage": 1, "stage": 2}]}', "key 'stage' of 'F0' is given"),
        ('{"micro_batches": ' + "9" * 5000 + "}", "a whole number with too many digits"),
        ('{"name": "\\ud800"}', "half a character"),
    ],
)
def test_text_that_is_no_native_file(text, message):
    with pytest.raises(InputError, match=message):
        parse_problem(text)


def test_an_upload_that_is_too_large():
    with pytest.raises(InputError, match=r"has 50\.0 MiB; the largest accepted here is 32 MiB"):
        parse_problem(b" " * (50 * 2**20), UPLOAD_LIMIT)
    with pytest.raises(InputError, match=r"has 50\.0 MiB"):
        parse_problem_file(b" " * (50 * 2**20))


def test_a_byte_order_mark_is_skipped():
    text = b"\xef\xbb\xbf" + json.dumps(EXAMPLE).encode()
    assert parse_problem(text).name == "two stages"
    assert parse_problem_file(text).name == "two stages"


def test_the_kind_of_file_is_told_by_its_content(tmp_path):
    file = tmp_path / "problem.onnx"
    file.write_text(json.dumps(EXAMPLE))
    assert read_problem_file(file).name == "two stages"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b"\x00\x01\x02 nothing known", "of no known kind; it may be: native problem"),
        (b'{"some": "json"}', "the file has no format"),
    ],
)
def test_a_file_of_no_known_kind(data, message):
    with pytest.raises(InputError, match=message):
        parse_problem_file(data)


def test_files_that_cannot_be_read_or_written(tmp_path):
    with pytest.raises(InputError, match=r"cannot read '.*none\.json': no such file"):
        read_problem_file(tmp_path / "none.json")
    with pytest.raises(InputError, match=r"cannot read .*: is a directory"):
        read_problem_file(tmp_path)
    problem = problem_from_document(EXAMPLE)
    with pytest.raises(InputError, match="cannot write"):
        write_problem_file(problem, tmp_path / "no" / "p.json")
    with pytest.raises(InputError, match=r"ends in '\.xyz'; problems are written as \.json"):
        write_problem_file(problem, tmp_path / "p.xyz")


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "id",
                        "duration",
                        "operators",
                        "tensors",
                        "cluster",
                        "devices",
                        "links",
                        "default",
                        "objective",
                        "minimize",
                        "subject_to",
                        "makespan",
                        "consumers",
                        "producer",
                        "x",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ),
    st.sampled_from(["operators", "tensors", "cluster", "objective", "parameter_groups", "name"]),
)
def test_anything_is_read_or_refused_on_purpose(value, key):
    document = {**copy.deepcopy(EXAMPLE), key: value}
    with contextlib.suppress(InputError):
        problem_from_document(document)
