from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from pages.components import cluster_editor, links_editor, problems
from planner_core.formats.native import cluster_document
from planner_core.problem import InputError, build_cluster
from planner_core.problem.clusters import homogeneous, mixed, nodes, ring, two_level
from planner_core.problem.hardware import LINK_TYPES, MIB

PAGE = str(Path(__file__).parents[2] / "pages" / "cluster.py")
KEY = "small_graph"


def page(key=KEY):
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.session_state["problem"] = key
    return app.run()


@pytest.mark.parametrize("key", [source.key for source in problems.samples()])
def test_every_sample_opens_and_nothing_is_changed(key):
    app = page(key)
    assert not app.exception
    assert not app.error
    assert f"cluster/{key}" not in app.session_state


def test_the_link_of_every_pair_is_edited():
    app = page()
    app.number_input(key=f"latency/pair/{KEY}/0").set_value(2.0)
    app.number_input(key=f"bandwidth/pair/{KEY}/0").set_value(8.0).run()
    cluster = app.session_state[f"cluster/{KEY}"]
    assert cluster.latency[0, 1] == 2
    assert cluster.bandwidth[0, 1] == 8
    undo = next(button for button in app.button if button.label == "As in the problem")
    assert not undo.disabled
    undo.click().run()
    assert f"cluster/{KEY}" not in app.session_state
    assert next(b for b in app.button if b.label == "As in the problem").disabled


def test_a_preset_replaces_the_cluster_and_can_be_undone():
    app = page()
    app.selectbox(key="preset/shape").select("nodes").run()
    app.number_input(key="preset/count").set_value(4)
    app.number_input(key="preset/per_node").set_value(2)
    next(b for b in app.button if b.label == "Use these").click().run()
    assert not app.exception
    assert cluster_document(app.session_state[f"cluster/{KEY}"]) == cluster_document(nodes(2, 2))
    next(b for b in app.button if b.label == "As in the problem").click().run()
    assert f"cluster/{KEY}" not in app.session_state


def test_nodes_that_are_not_filled_are_refused():
    app = page()
    app.selectbox(key="preset/shape").select("nodes").run()
    app.number_input(key="preset/count").set_value(3)
    app.number_input(key="preset/per_node").set_value(2)
    next(b for b in app.button if b.label == "Use these").click().run()
    assert not app.exception
    assert "do not fill" in app.error[0].value


@pytest.mark.parametrize(
    ("preset", "cluster"),
    [
        ({"count": 4, "shape": "ring", "exclusive": True}, ring(4)),
        ({"count": 2, "more": 1, "other": "A100"}, mixed({"H100": 2, "A100": 1})),
        (
            {"count": 2, "more": 2, "shape": "nodes", "per_node": 2},
            two_level([["H100"] * 2, ["A100"] * 2]),
        ),
    ],
)
def test_presets_are_those_of_the_library(preset, cluster):
    made = cluster_editor.Preset(device="H100", **preset).cluster()
    assert cluster_document(made) == cluster_document(cluster)


def test_links_follow_a_pattern_in_any_unit():
    key = "linear_4x8"
    app = page(key)
    app.segmented_control(key=f"link mode/{key}/0").set_value("nodes").run()
    app.number_input(key=f"per node/{key}/0").set_value(2)
    app.number_input(key=f"latency/outer/{key}/0").set_value(3.0)
    app.toggle(key=f"exclusive/inner/{key}/0").set_value(True).run()
    assert not app.exception
    cluster = app.session_state[f"cluster/{key}"]
    assert cluster.latency[0].tolist() == [0, 0, 3, 3]
    assert cluster.exclusive[3].tolist() == [False, False, True, False]
    app.segmented_control(key=f"link mode/{key}/0").set_value("ring").run()
    cluster = app.session_state[f"cluster/{key}"]
    assert cluster.has_link[0].tolist() == [True, True, False, True]
    app.toggle(key=f"one way/{key}/0").set_value(True).run()
    assert app.session_state[f"cluster/{key}"].has_link[0].tolist() == [True, True, False, False]
    app.segmented_control(key=f"link mode/{key}/0").set_value("one for every pair").run()
    assert f"cluster/{key}" not in app.session_state, "as it was"


def test_many_unlike_links_stay_as_they_are():
    app = page()
    app.selectbox(key="preset/shape").select("nodes").run()
    app.number_input(key="preset/count").set_value(64)
    app.number_input(key="preset/per_node").set_value(8)
    next(b for b in app.button if b.label == "Use these").click().run()
    assert not app.exception
    made = cluster_document(nodes(8, 8))
    assert cluster_document(app.session_state[f"cluster/{KEY}"]) == made
    app.run()
    assert cluster_document(app.session_state[f"cluster/{KEY}"]) == made


def test_the_share_of_a_link_that_is_reached_can_be_changed():
    chosen = cluster_editor.Preset(device="H100", count=4, per_node=2)
    for shape in cluster_editor.SHAPES:
        one, half = (
            replace(chosen, shape=shape, efficiency=share).cluster() for share in (1.0, 0.5)
        )
        joined = half.has_link & np.isfinite(half.bandwidth)
        assert joined.any()
        assert np.allclose(2 * half.bandwidth[joined], one.bandwidth[joined])
    app = page()
    app.number_input(key="preset/efficiency").set_value(0.4)
    next(b for b in app.button if b.label == "Use these").click().run()
    assert not app.exception
    limit = LINK_TYPES["NVLink 4"].bandwidth * 0.4 / MIB / 1e3
    assert app.session_state[f"cluster/{KEY}"].bandwidth[0, 1] == pytest.approx(limit)


def test_the_matrix_says_who_is_joined_and_how():
    links = [
        {"source": "a", "target": "b", "latency": 0.5, "bandwidth": 8.0, "exclusive": True},
        {"source": "b", "target": "a"},
    ]
    cluster = build_cluster([{"id": name} for name in "abc"], links)
    frame = links_editor.matrix_frame(cluster)
    assert frame.to_numpy().tolist() == [["", "8 + 0.5, 1×", "×"], ["∞", "", "×"], ["×", "×", ""]]


def test_a_cluster_without_a_needed_device_is_refused():
    problem = problems.sample_problem("linear_4x8")
    with pytest.raises(InputError, match="gpu3"):
        cluster_editor.put(problem, "linear_4x8", homogeneous(3))


def test_presets_are_not_offered_in_other_units():
    app = page("linear_4x8")
    assert "activations" in app.info[0].value


@pytest.mark.parametrize("cluster", [nodes(2, 2), homogeneous(3, memory=5.0), homogeneous(1)])
def test_tables_say_all_there_is_in_a_cluster(cluster):
    devices = cluster_editor.device_rows(cluster_editor.device_frame(cluster))
    links = links_editor.link_rows(links_editor.link_frame(cluster))
    assert cluster_document(build_cluster(devices, links)) == cluster_document(cluster)


def test_a_device_without_id_is_named_by_its_place():
    frame = cluster_editor.device_frame(homogeneous(2))
    frame.loc[1, "id"] = None
    with pytest.raises(InputError, match="number 2"):
        cluster_editor.device_rows(frame)
