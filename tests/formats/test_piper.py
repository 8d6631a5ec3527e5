"""Piper files: the degree-one problem costs what the authors' model says, alternatives expand."""

import contextlib
import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner_core.formats import parse_problem_file
from planner_core.formats.piper import parse_alternatives, parse_problem
from planner_core.problem import InputError
from tests.formats.test_dnn_partitioning import REFERENCE


def tmpc(name, time, a=1.0, b=10.0, fw=None, bw=None):
    return {"id": name, "timePerSample": time, "parameterSize": 5.0, "memoryUsageA": a,
            "memoryUsageB": b, "syncTimeFw": fw or {}, "syncTimeBw": bw or {}}  # fmt: skip


SMALL = {
    "maxDevices": 4,
    "maxMemoryPerDevice": 1000.0,
    "bandwidth": 100.0,
    "mbsInBatch": 8,
    "nodes": [
        {"id": 0, "name": "in", "TMPCs": {
            "1": [tmpc("vanilla", 4.0, bw={"1": 0.0}), tmpc("recomp", 5.0, 0.5, bw={"1": 0.0})],
            "2": [tmpc("vanilla", 2.5, b=6.0, bw={"1": 20.0})]}},
        {"id": 1, "TMPCs": {"1": [tmpc("vanilla", 3.0, fw={"0": 0.0})],
                            "2": [tmpc("vanilla", 1.75, fw={"0": 50.0})]}},
    ],
    "edges": [{"sourceId": 0, "destId": 1, "communicationCost": 30.0}],
}  # fmt: skip


def read(change=lambda document: None):
    document = copy.deepcopy(SMALL)
    change(document)
    return parse_alternatives(json.dumps(document))


def test_degree_one_is_the_problem():
    problem = parse_problem_file(json.dumps(SMALL).encode())
    assert problem.template.duration.tolist() == [4, 3]
    assert problem.template.group_size.tolist() == [11, 11]
    # Activation and gradient cross the edge, at both ends: 2 × 30 / 100.
    assert problem.template.transfer.tolist() == [0.6]
    assert problem.cluster.staged
    assert problem.cluster.memory.tolist() == [1000] * 4
    assert problem.objective.minimize == ("period",)


def test_micro_batches_in_flight_take_activation_memory():
    assert parse_problem(json.dumps(SMALL), in_flight=3).template.group_size.tolist() == [13, 13]
    with pytest.raises(InputError, match="in_flight"):
        parse_problem(json.dumps(SMALL), in_flight=0)


def test_alternatives_expand_to_shards_with_their_own_costs():
    problem = read().expand({"0": "2 × vanilla", "1": "1 × vanilla"})
    graph = problem.template
    assert graph.operator_ids.tolist() == ["0/0", "0/1", "1"]
    assert graph.duration.tolist() == [2.5, 2.5, 3.0]
    # The unsplit consumer takes the first shard's copy, and the gather is added to it.
    assert graph.consumers_of(graph.tensor_index["0 → 1/0"]).tolist() == [2]
    assert graph.transfer[graph.tensor_index["0 → 1/0"]] == pytest.approx(2 * (30 + 20) / 100)
    sizes = dict(zip(graph.group_ids.tolist(), graph.group_size.tolist(), strict=True))
    assert sorted(sizes.values()) == [7, 7, 11]


def test_recomputation_trades_memory_for_time():
    graph = read().expand({"0": "1 × recomp"}).template
    assert graph.duration.tolist() == [5, 3]
    assert sorted(graph.group_size.tolist()) == [10.5, 11]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["nodes"][0]["TMPCs"].pop("1"), "node '0' has no TMPC of degree 1"),
        (lambda d: d["nodes"][0].update(TMPCs={}), "node '0' has no TMPCs"),
        (lambda d: d["nodes"][0]["TMPCs"].update(x=[]), "degree 'x'"),
        (lambda d: d["nodes"][0]["TMPCs"].update({"1": [{}]}), "has no id"),
        (lambda d: d["nodes"][1]["TMPCs"]["1"][0]["syncTimeFw"].update({"5": 1}), "node '5'"),
        (lambda d: d.update(bandwidth=0), "bandwidth 0"),
        (lambda d: d.update(maxDevices=0), "maxDevices is 0"),
        (lambda d: d["edges"].append(d["edges"][0]), "given twice"),
        (lambda d: d["nodes"][0]["TMPCs"]["1"].append(tmpc("vanilla", 1)), "same id"),
    ],
)
def test_bad_files_are_refused_with_the_item(change, message):
    with pytest.raises(InputError, match=message):
        read(change)


def test_published_bert32():
    path = REFERENCE / "piper_bert32_a100.json"
    if not path.exists():
        pytest.skip("the published inputs are not part of the repository")
    split = parse_alternatives(path.read_bytes())
    graph = split.problem.template
    assert graph.n_operators == 37
    assert len(graph.consumer) == 67
    assert {len(ways) for ways in split.alternatives.values()} == {8}
    two = split.expand(dict.fromkeys(split.alternatives, "2 × vanilla"))
    assert two.template.n_operators == 74
    # Two shards of a transformer layer together hold about what the whole held.
    assert two.template.group_size.sum() > graph.group_size.sum()
    fastest = split.expand(dict.fromkeys(split.alternatives, "8 × vanilla"))
    assert fastest.template.duration.max() < graph.duration.max()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_files_raise_input_errors_only(data):
    text = json.dumps(SMALL)
    start = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.integers(0, 12))
    filler = data.draw(st.text(alphabet='0123456789-.eE"[]{}:,ntf ', max_size=8))
    with contextlib.suppress(InputError):
        parse_alternatives((text[:start] + filler + text[start + length :]).encode())
