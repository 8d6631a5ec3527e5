import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner_core.formats import scenario
from planner_core.formats.native import problem_document
from planner_core.problem import Cluster, InputError
from planner_core.problem.settings import Settings
from planner_core.workloads import pipeline

FULL = Settings(
    minimize=("peak_memory", "makespan"),
    subject_to={"period": 9.0},
    memory=3.0,
    micro_batches=5,
    cluster=Cluster.uniform(4, memory=7.0, latency=0.5, bandwidth=2.0),
    time_limit=12.0,
    merging="chains",
    merging_cap=4.5,
)


@pytest.mark.parametrize("settings", [Settings(), FULL])
def test_what_is_written_is_read_again(settings):
    problem = pipeline(4, 8, memory=4)
    given_back, read = scenario.parse_scenario(scenario.dump_scenario(problem, settings))
    assert problem_document(given_back) == problem_document(problem)
    assert scenario.settings_document(read) == scenario.settings_document(settings)
    assert problem_document(read.apply(given_back)) == problem_document(settings.apply(problem))


def test_settings_change_the_problem():
    changed = FULL.apply(pipeline(4, 8, memory=4))
    assert changed.objective.minimize == ("peak_memory", "makespan")
    assert dict(changed.objective.subject_to) == {"period": 9.0}
    assert changed.cluster.memory.tolist() == [3.0] * 4
    assert changed.cluster.latency[0, 1] == 0.5
    assert changed.micro_batches == 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"settings": {"memoory": 3}}, "memoory"),
        ({"settings": {"memory": -1}}, "memory"),
        ({"settings": {"minimize": "speed"}}, "one of"),
        ({"settings": {"time_limit": 0}}, "above 0"),
        ({"settings": {"merging": "magic"}}, "no merging 'magic'"),
        ({"settings": {"merging": "chains", "merging_cap": -1}}, "merging_cap"),
        ({"settings": {"merging_cap": 1}}, "takes no cap"),
        ({"settings": {"cluster": {"devices": [{"id": "gpu0", "colour": 1}]}}}, "'gpu0'"),
        ({"settings": {"cluster": {"devices": [{"id": "tpu"}]}}}, "gpu0"),
        ({"setting": {}}, "did you mean 'settings'"),
        ({"problem": {"format": "parallelism-problem/1"}}, "operators"),
        ({"format": "parallelism-scenario/9"}, "parallelism-scenario/1"),
    ],
)
def test_a_fault_is_one_sentence(change, words):
    document = json.loads(scenario.dump_scenario(pipeline(2, 2), Settings())) | change
    with pytest.raises(InputError, match=words):
        scenario.parse_scenario(json.dumps(document))


def test_links_hold_what_was_packed():
    document = scenario.settings_document(FULL)
    packed = scenario.pack(document)
    assert scenario.unpack(packed) == document
    assert packed.replace("-", "").replace("_", "").replace("=", "").isalnum()


@given(st.text(max_size=200))
def test_any_other_link_is_refused_in_one_sentence(text):
    with pytest.raises(InputError, match="link"):
        scenario.unpack(text)


def test_a_link_that_unfolds_to_too_much_is_refused():
    import base64
    import zlib

    bomb = base64.urlsafe_b64encode(zlib.compress(b" " * 2**24, 9)).decode()
    with pytest.raises(InputError, match="link"):
        scenario.unpack(bomb[: 2 * scenario.LINK_LIMIT])
