import json
from dataclasses import replace

import numpy as np
import pytest

from planner_core.analysis.critical_path import critical_path
from planner_core.baselines import run_baseline
from planner_core.charts import DARK, LIGHT, Entry, timeline
from planner_core.charts.gantt import COLOURINGS, MOST_NAMED
from planner_core.charts.timeline import SECOND
from planner_core.problem import Problem, build_cluster, build_graph
from planner_core.schedule import Schedule, memory_profiles
from planner_core.workloads import pipeline


def entry(name, *shape, key="a", **more):
    problem = pipeline(*shape, **more)
    schedule = run_baseline(name, problem).schedule
    return Entry(key=key, title=name, problem=problem, schedule=schedule, note="fits")


@pytest.mark.parametrize("colour_by", COLOURINGS)
@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_every_operator_has_its_cell(colour_by, theme):
    shown = entry("dualpipe-sequential", 4, 8, "bidirectional")
    panel = timeline([shown], theme, colour_by=colour_by)["panels"][0]
    schedule = shown.schedule
    assert panel["row"] == schedule.device.tolist()
    assert panel["start"] == schedule.start.tolist()
    np.testing.assert_allclose(panel["length"], schedule.finish - schedule.start)
    assert set(panel["fill"]) == set(range(len(panel["palette"])))
    assert len(panel["inks"]) == len(panel["palette"])


def test_it_can_be_written_as_json():
    json.dumps(timeline([entry("1f1b", 4, 8, memory=4)], micro_batch=2, window=(1.0, 3.0)))


def test_shades_stand_for_a_second_direction_and_the_legend_says_so():
    legend = dict(timeline([entry("dualpipe-sequential", 4, 8, "bidirectional")])["legend"])
    assert list(legend) == ["forward", "backward-input", "backward-weight", SECOND]
    assert legend[SECOND] != legend["forward"]
    assert SECOND not in dict(timeline([entry("1f1b", 4, 8)])["legend"])


def test_many_micro_batches_are_named_by_some_of_them():
    legend = timeline([entry("1f1b", 2, 40)], colour_by="micro-batch")["legend"]
    assert 4 <= len(legend) <= MOST_NAMED
    assert legend[0][0] == "micro-batch 0"


def test_memory_is_the_profile_of_every_device_with_its_limit():
    shown = entry("1f1b", 4, 8, memory=4)
    memory = timeline([shown])["panels"][0]["memory"]
    peaks = [profile.peak for profile in memory_profiles(shown.problem, shown.schedule)]
    assert [max(line["used"]) for line in memory["lines"]] == peaks
    assert memory["limits"] == [4.0]
    assert memory["top"] == 4.0
    assert timeline([shown], memory=False)["panels"][0]["memory"] is None


def test_a_path_is_outlined_in_its_own_schedule_only():
    first, second = entry("1f1b", 3, 5), entry("gpipe", 3, 5, key="b")
    path = critical_path(second.problem, second.schedule, 7)
    drawn = timeline([first, second], highlight=("b", path), picked=7)
    assert drawn["panels"][0]["outlined"] == []
    assert drawn["panels"][0]["pale"] is None
    assert drawn["panels"][1]["outlined"] == sorted(path)
    assert drawn["panels"][1]["picked"] == 7
    pale = np.array(drawn["panels"][1]["pale"])
    assert set(np.flatnonzero(pale == 0)) == set(path)


def test_schedules_of_one_graph_share_it():
    shown = entry("1f1b", 3, 5)
    other = replace(entry("gpipe", 3, 5, key="b"), problem=shown.problem)
    drawn = timeline([shown, other, entry("gpipe", 2, 5, key="c")])
    assert [panel["graph"] for panel in drawn["panels"]] == [0, 0, 1]
    graph, document = shown.problem.graph, drawn["graphs"][0]
    edges = set(zip(document["from"], document["to"], strict=True))
    assert edges == set(zip(graph.edge_source.tolist(), graph.edge_target.tolist(), strict=True))


def test_streams_are_rows_named_with_their_device():
    operators = [
        {"id": "A", "duration": 1, "devices": ["a"]},
        {"id": "N", "duration": 1, "devices": ["a"], "stream": "network", "kind": "all_to_all"},
    ]
    problem = Problem(
        template=build_graph(operators), cluster=build_cluster([{"id": "a"}, {"id": "b"}])
    )
    schedule = Schedule(device=np.zeros(2, dtype=np.int32), start=np.zeros(2), finish=np.ones(2))
    panel = timeline([Entry(key="a", title="a", problem=problem, schedule=schedule)])["panels"][0]
    assert panel["rows"] == ["a", "· network", "b"]
    assert panel["devices"] == ["a", "a, network stream", "b"]
    assert panel["rowColours"][1] is None


def test_the_text_alternative_names_every_schedule_and_its_makespan():
    shown = entry("1f1b", 4, 8)
    said = timeline([shown])["label"]
    assert "1f1b, makespan 33 ms (fits)" in said
