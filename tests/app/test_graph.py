from pathlib import Path

from streamlit.testing.v1 import AppTest

from pages.components.problems import samples

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
