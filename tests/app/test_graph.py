import base64
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.components.fields import BATCH
from pages.components.gallery import _picture
from pages.components.generators import GENERATORS
from pages.components.problems import sample_problem, samples
from planner_core.formats.json_text import dump_object
from planner_core.formats.native import problem_document
from planner_core.problem import KIND_CODE, KINDS
from planner_core.workloads import random_layered

PAGE = str(Path(__file__).parents[2] / "pages" / "graph.py")


def page(tab="Generate"):
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.session_state["graph/tab"] = tab
    return app.run()


def generate(app):
    next(b for b in app.button if b.label == "Generate").click()
    return app.run()


def test_gallery_offers_every_sample_and_choosing_one_shows_it():
    app = page("Gallery")
    assert not app.exception
    assert sum(b.label == "Choose" for b in app.button) == len(samples()) - 1
    app.button(key="choose linear_4x8").click().run()
    assert app.selectbox(key="problem").value == "linear_4x8"
    chosen = [b for b in app.button if b.label == "Chosen"]
    assert [b.key for b in chosen] == ["choose linear_4x8"]
    assert chosen[0].disabled


def test_only_the_open_tab_is_drawn(monkeypatch):
    monkeypatch.setattr("pages.components.gallery._picture", lambda *_: pytest.fail("unseen"))
    app = page("Draw")
    assert not app.exception
    assert len(app.dataframe) > 0


@pytest.mark.parametrize(
    ("name", "data", "title"),
    [
        ("two steps.dot", b"digraph G { a [duration=1]; b [duration=2]; a -> b; }", "two steps"),
        ("x.csv", b"id,duration,after\na,1,\nb,2,a\n", "x"),
        ("x.json", dump_object(problem_document(sample_problem("small_graph"))).encode(),
         "small graph"),
    ],
)  # fmt: skip
def test_an_upload_is_called_by_its_name_or_its_file(name, data, title):
    app = page("Draw")
    app.file_uploader(key="upload").upload(name, data, "text/plain").run()
    assert not app.exception
    key = app.selectbox(key="problem").value
    assert app.session_state["own_problems"][key][0].title == title


def test_a_bad_upload_is_one_sentence_and_loses_nothing():
    app = page("Draw")
    before = app.selectbox(key="problem").value
    data = b"digraph G { a [duration=1]; b [duration=1]; a -> b; b -> a; }"
    app.file_uploader(key="upload").upload("cycle.txt", data, "text/plain").run()
    assert not app.exception
    assert "cycle.txt: the graph has a cycle" in app.error[0].value
    assert app.selectbox(key="problem").value == before
    assert not app.session_state["own_problems"]


def test_a_generated_pipeline_is_chosen():
    app = page()
    app.number_input(key="make/pipeline/devices").set_value(3)
    app.number_input(key="make/pipeline/batches").set_value(5)
    app.selectbox(key="make/pipeline/placement").select("linear")
    app.number_input(key="make/pipeline/transfer").set_value(0.5)
    generate(app)
    assert not app.exception
    assert "linear_pipeline" in app.selectbox(key="problem").value
    assert len(app.dataframe[0].value) == 9, "the drawing is open and shows it"


def test_generating_twice_gives_two_problems():
    app = page()
    app.number_input(key="make/pipeline/devices").set_value(6)
    app = generate(app)
    first = app.selectbox(key="problem").value
    app.session_state["graph/tab"] = "Generate"
    app.run()
    assert app.number_input(key="make/pipeline/devices").value == 6, "the form is as it was"
    second = generate(app).selectbox(key="problem").value
    assert first != second
    assert {first, second} <= set(app.session_state["own_problems"])


@pytest.mark.parametrize("name", list(GENERATORS))
def test_every_generator_makes_a_problem_with_its_defaults(name):
    app = page()
    app.segmented_control(key="generator").set_value(name).run()
    generate(app)
    assert not app.exception
    assert not app.error
    assert len(app.session_state["own_problems"]) == 1


def test_impossible_numbers_are_refused_in_one_sentence():
    app = page()
    app.segmented_control(key="generator").set_value("transformer").run()
    app.number_input(key="make/transformer/heads").set_value(7)
    generate(app)
    assert not app.exception
    assert "heads" in app.error[0].value
    assert not app.session_state["own_problems"]


def made(app, name):
    """Source and problem of what a form makes."""
    app.session_state["graph/tab"] = "Generate"
    app.run()
    app.segmented_control(key="generator").set_value(name).run()
    generate(app)
    assert not app.exception
    assert not app.error
    return app.session_state["own_problems"].popitem()[1]


@pytest.mark.parametrize("name", [n for n, g in GENERATORS.items() if BATCH in g.fields])
def test_efficiencies_of_a_form_decide_durations_and_are_said(name):
    app = page()
    before, default = made(app, name)
    app.session_state[f"make/{name}/compute_efficiency"] = 0.3
    app.session_state[f"make/{name}/memory_efficiency"] = 0.4
    app.session_state[f"make/{name}/link_efficiency"] = 0.2
    app.session_state[f"make/{name}/launch_overhead"] = 0.0
    after, changed = made(app, name)
    forward = default.graph.kind == KIND_CODE["forward"]
    without_overhead = default.durations[forward] - 3e-3
    assert changed.durations[forward] == pytest.approx(2 * without_overhead)
    assert changed.cluster.bandwidth[0, 1] == pytest.approx(default.cluster.bandwidth[0, 1] / 4)
    assert "compute efficiency 0.6" in before.teaches
    assert "compute efficiency 0.3, memory efficiency 0.4, link efficiency 0.2" in after.teaches


def test_an_onnx_upload_is_costed_as_the_fields_say():
    onnx = pytest.importorskip("onnx")
    nodes = [onnx.helper.make_node("Relu", ["x"], ["y"], name="relu")]
    sides = [onnx.helper.make_tensor_value_info(n, 1, [1, 1024]) for n in "xy"]
    graph = onnx.helper.make_graph(nodes, "tiny", sides[:1], sides[1:])
    data = onnx.helper.make_model(graph).SerializeToString()
    app = page("Draw")
    app.number_input(key="make/file/devices").set_value(2)
    app.number_input(key="make/file/memory_efficiency").set_value(0.5)
    app.number_input(key="make/file/launch_overhead").set_value(100.0).run()
    app.file_uploader(key="upload").upload("tiny.onnx", data, "text/plain").run()
    assert not app.exception
    assert not app.error
    source, problem = app.session_state["own_problems"].popitem()[1]
    assert problem.n_devices == 2
    assert problem.template.n_operators == 1
    assert problem.durations[0, 0] == pytest.approx(0.1 + 1e3 * 2 * 2048 / (3350e9 * 0.5))
    assert "memory efficiency 0.5" in source.teaches
    assert "launch overhead 100 µs" in source.teaches


def test_what_would_take_long_is_refused_before_it_is_made():
    app = page()
    app.segmented_control(key="generator").set_value("transformer").run()
    app.number_input(key="make/transformer/layers").set_value(256)
    app.number_input(key="make/transformer/micro_batches").set_value(1024)
    generate(app)
    assert "make it smaller" in app.error[0].value


def test_micro_batches_count_where_operators_are_limited():
    app = page()
    app.segmented_control(key="generator").set_value("transformer").run()
    app.number_input(key="make/transformer/layers").set_value(48)
    app.number_input(key="make/transformer/micro_batches").set_value(512)
    generate(app)
    assert "more than 50,000 operators" in app.error[0].value
    assert not app.session_state["own_problems"]


def test_a_mixture_of_experts_has_exchanges_between_its_accelerators():
    app = page()
    app.segmented_control(key="generator").set_value("moe").run()
    generate(app)
    graph = app.session_state["own_problems"].popitem()[1][1].template
    assert "network" in graph.stream_names
    assert "all_to_all" in {KINDS[kind] for kind in graph.kind}


def test_a_job_shop_is_written_in_lines_and_a_fault_is_named():
    app = page()
    app.segmented_control(key="generator").set_value("job_shop").run()
    app.text_area(key="make/job_shop/jobs").set_value("2 2\n0 3 1 2\n1 4 0")
    generate(app)
    assert "Job 1 has 3 numbers" in app.error[0].value
    app.text_area(key="make/job_shop/jobs").set_value("2 2\n0 3 1 2\n1 4 0 1")
    generate(app)
    assert app.session_state["own_problems"]["job_shop"][1].template.n_operators == 4


@pytest.mark.parametrize("key", [source.key for source in samples()])
def test_every_sample_has_a_picture(key):
    assert "<img alt=" in _picture(sample_problem(key), "dark")


def test_a_problem_too_large_for_a_picture_says_so(monkeypatch):
    monkeypatch.setattr("pages.components.gallery.MOST_OPERATORS", 3)
    assert "too large for a picture" in _picture(random_layered(5, 2, seed=0), "light")


def test_the_gallery_has_pictures_that_say_what_they_are():
    problem = sample_problem("linear_4x8")
    picture = _picture(problem, "light")
    assert f'alt="{problem.name}, scheduled by' in picture
    drawn = base64.b64decode(picture.split("base64,")[1].split('"')[0])
    assert drawn.count(b"<rect") == problem.graph.n_operators + problem.n_devices
