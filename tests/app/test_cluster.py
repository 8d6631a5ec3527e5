from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.components import cluster_editor, problems
from planner_core.formats.native import cluster_document
from planner_core.problem import InputError, build_cluster
from planner_core.problem.clusters import homogeneous, nodes

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
    app.number_input(key=f"latency/{KEY}/0").set_value(2.0)
    app.number_input(key=f"bandwidth/{KEY}/0").set_value(8.0).run()
    cluster = app.session_state[f"cluster/{KEY}"]
    assert cluster.latency[0, 1] == 2
    assert cluster.bandwidth[0, 1] == 8


def test_a_preset_replaces_the_cluster_and_can_be_undone():
    app = page()
    app.selectbox(key="preset/shape").select("nodes")
    app.number_input(key="preset/count").set_value(4)
    app.number_input(key="preset/per_node").set_value(2)
    next(b for b in app.button if b.label == "Use these").click().run()
    assert not app.exception
    assert cluster_document(app.session_state[f"cluster/{KEY}"]) == cluster_document(nodes(2, 2))
    next(b for b in app.button if b.label == "As in the problem").click().run()
    assert f"cluster/{KEY}" not in app.session_state


def test_nodes_that_are_not_filled_are_refused():
    app = page()
    app.selectbox(key="preset/shape").select("nodes")
    app.number_input(key="preset/count").set_value(3)
    app.number_input(key="preset/per_node").set_value(2)
    next(b for b in app.button if b.label == "Use these").click().run()
    assert not app.exception
    assert "do not fill" in app.error[0].value


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
    links = cluster_editor._link_rows(cluster_editor.link_frame(cluster))
    assert cluster_document(build_cluster(devices, links)) == cluster_document(cluster)


def test_a_device_without_id_is_named_by_its_place():
    frame = cluster_editor.device_frame(homogeneous(2))
    frame.loc[1, "id"] = None
    with pytest.raises(InputError, match="number 2"):
        cluster_editor.device_rows(frame)
