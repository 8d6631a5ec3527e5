import base64
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.components.gallery import _picture
from pages.components.generators import GENERATORS
from pages.components.problems import sample_problem, samples

PAGE = str(Path(__file__).parents[2] / "pages" / "graph.py")


def page():
    return AppTest.from_file(PAGE, default_timeout=60).run()


def generate(app):
    next(b for b in app.button if b.label == "Generate").click()
    return app.run()


def test_gallery_offers_every_sample_and_choosing_one_shows_it():
    app = page()
    assert not app.exception
    assert sum(b.label == "Choose" for b in app.button) == len(samples())
    app.button(key="choose linear_4x8").click().run()
    assert app.selectbox(key="problem").value == "linear_4x8"
    assert len(app.dataframe[0].value) == 12


def test_a_generated_pipeline_is_chosen():
    app = page()
    app.number_input(key="make/devices").set_value(3)
    app.number_input(key="make/batches").set_value(5)
    app.selectbox(key="make/placement").select("linear")
    app.number_input(key="make/transfer").set_value(0.5)
    generate(app)
    assert not app.exception
    assert "linear_pipeline" in app.selectbox(key="problem").value
    assert len(app.dataframe[0].value) == 9


def test_generating_twice_gives_two_problems():
    app = generate(page())
    first = app.selectbox(key="problem").value
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
    app.number_input(key="transformer/heads").set_value(7)
    generate(app)
    assert not app.exception
    assert "heads" in app.error[0].value
    assert not app.session_state["own_problems"]


def test_what_would_take_long_is_refused_before_it_is_made():
    app = page()
    app.segmented_control(key="generator").set_value("transformer").run()
    app.number_input(key="transformer/layers").set_value(256)
    app.number_input(key="transformer/micro_batches").set_value(1024)
    generate(app)
    assert "make it smaller" in app.error[0].value


def test_the_gallery_has_pictures_that_say_what_they_are():
    problem = sample_problem("linear_4x8")
    picture = _picture(problem, "light")
    assert f'alt="{problem.name}, scheduled by' in picture
    drawn = base64.b64decode(picture.split("base64,")[1].split('"')[0])
    assert drawn.count(b"<rect") == problem.graph.n_operators + problem.n_devices
