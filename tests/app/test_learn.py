from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from pages.components.lessons import LESSONS
from pages.components.lessons.examples import lesson_pipeline, timed
from pages.components.lessons.hand_order import (
    SPLIT_KINDS,
    activations_held,
    following,
    refusal,
    timed_so_far,
)
from pages.components.lessons.model import Question, Scale
from pages.components.lessons.quiz import right
from planner_core.baselines import run_baseline
from planner_core.schedule import memory_profiles, validate

PAGE = str(Path(__file__).parents[2] / "pages" / "learn.py")
ASKING = [lesson for lesson in LESSONS if lesson.question is not None]


def page(lesson=None, **more):
    app = AppTest.from_file(PAGE, default_timeout=60)
    if lesson:
        app.query_params["lesson"] = lesson
    for name, value in more.items():
        app.query_params[name] = value
    return app.run()


def clean(app):
    assert not app.exception
    return app


def param(app, name):
    value = app.query_params[name]
    return value if isinstance(value, str) else value[0]


def words(elements):
    return " ".join(str(element.value) for element in elements)


def numbers_of(lesson):
    return {knob.name: float(knob.default) for knob in lesson.knobs}


@st.composite
def any_numbers(draw, lesson):
    """Any position of the sliders."""
    numbers = {}
    for knob in lesson.knobs:
        numbers[knob.name] = float(draw(st.sampled_from(knob.offered(numbers).values)))
    return numbers


def shown(lesson, numbers):
    return list(lesson.examples(numbers))


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.key)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_wherever_a_formula_applies_the_simulator_agrees(lesson, data):
    numbers = data.draw(any_numbers(lesson))
    examples = shown(lesson, numbers)
    for check in lesson.checks(numbers, examples) if examples else ():
        assert check.beyond or check.agrees, (check, numbers)


@pytest.mark.parametrize("lesson", ASKING, ids=lambda lesson: lesson.key)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_every_schedule_is_sound_and_every_question_has_one_right_answer(lesson, data):
    numbers = data.draw(any_numbers(lesson))
    examples = shown(lesson, numbers)
    assert [one.name for one in examples] == [
        one.name for one in shown(lesson, numbers_of(lesson))
    ], "no position of a slider takes a schedule away"
    for one in examples:
        found = validate(one.problem, one.schedule, allow_overlapped=True)
        assert [violation for violation in found if violation.rule != "memory"] == []
    question = lesson.question(numbers, examples)
    if question is None:
        return
    assert right(question, question.answer)
    if question.choices:
        assert sum(right(question, choice) for choice in question.choices) == 1
    else:
        assert not right(question, question.answer + 1)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.key)
def test_formulas_of_the_first_picture_apply(lesson):
    numbers = numbers_of(lesson)
    examples = shown(lesson, numbers)
    assert len(examples) == len(lesson.examples(numbers))
    for check in lesson.checks(numbers, examples):
        assert check.agrees
        assert not check.beyond


def test_answers_come_from_the_numbers():
    by_key = {lesson.key: lesson for lesson in LESSONS}
    gpipe = by_key["gpipe"]
    for p, least in ((2, 4), (4, 12), (8, 28)):
        numbers = {"p": p, "m": 8, "F": 1.0, "B": 2.0}
        assert gpipe.question(numbers, shown(gpipe, numbers)).answer == least
    bound = by_key["optimum"]
    numbers = {"p": 4, "m": 6, "memory": 3, "F": 1.0, "I": 2.0, "W": 0.5}
    assert bound.question(numbers, shown(bound, numbers)).answer == 3 * 1 + 6 * 3.5


@given(p=st.integers(2, 6), m=st.integers(1, 16), cost=st.sampled_from([0.5, 1.0, 3.0]))
@settings(max_examples=25, deadline=None)
def test_zb_h2_never_ends_sooner_with_equal_costs(p, m, cost):
    problem = lesson_pipeline(p, m, F=cost, I=cost, W=cost)
    first, second = (run_baseline(f"zb-{name}", problem).schedule for name in ("h1", "h2"))
    assert second.makespan >= first.makespan - 1e-9


@given(half=st.integers(1, 4), more=st.integers(0, 6), data=st.data())
@settings(max_examples=25, deadline=None)
def test_blocks_no_faster_than_their_parts_never_end_sooner(half, more, data):
    F, I, W = (data.draw(st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.0])) for _ in range(3))  # noqa: E741
    problem = lesson_pipeline(2 * half, 4 * half + 2 * more, "bidirectional", F=F, I=I, W=W)
    blocks = run_baseline("dualpipe", problem, overlapped_pair=F + I + W).schedule
    sequential = run_baseline("dualpipe-sequential", problem).schedule
    assert sequential.makespan <= blocks.makespan + 1e-9


def test_the_bound_is_shown_beside_the_plan_once_there_is_one():
    lesson = next(lesson for lesson in LESSONS if lesson.key == "optimum")
    numbers = numbers_of(lesson)
    assert lesson.checks(numbers, shown(lesson, numbers)) == []
    for memory, applies in ((8.0, True), (1.0, False)):
        problem = lesson_pipeline(4, 6, memory=memory)
        name = "zb-h1" if applies else "1f1b"
        plan = timed("plan", "Plan", problem, run_baseline(name, problem).schedule)
        check = lesson.checks(numbers, [plan])[0]
        assert check.predicted == 3 + 18
        assert check.agrees is applies
        assert bool(check.beyond) is not applies


def test_published_bubbles():
    """Golden numbers of 4 devices and 8 micro-batches with F = I = W = 1."""
    by_key = {lesson.key: lesson for lesson in LESSONS}
    lesson = by_key["zero-bubble"]
    figures = {one.name: one for one in shown(lesson, numbers_of(lesson))}
    assert figures["1f1b"].schedule.makespan == 33
    assert figures["zb-h1"].schedule.makespan == 27
    assert (figures["zb-h1"].bubble, figures["zb-h2"].bubble) == (3, 0)
    lesson = by_key["dualpipe"]
    figures = {one.name: one for one in shown(lesson, numbers_of(lesson) | {"p": 8, "m": 20})}
    assert figures["dualpipe"].schedule.makespan == 66
    assert figures["dualpipe-sequential"].schedule.makespan == 63


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.key)
def test_every_lesson_opens_by_its_link(lesson):
    app = clean(page(lesson.key))
    assert lesson.title in words(app.header)
    assert app.radio(key="learn/lesson").value == lesson.key
    assert param(app, "lesson") == lesson.key


def test_an_unknown_link_opens_the_first_lesson():
    app = clean(page("no-such-lesson", done="rubbish.gpipe"))
    assert LESSONS[0].title in words(app.header)
    assert param(app, "done") == "gpipe"


def test_next_and_previous_walk_through_all_lessons():
    app = page()
    for lesson in LESSONS[1:]:
        clean(app.button(key="tour next").click().run())
        assert lesson.title in words(app.header)
    app.button(key="tour previous").click().run()
    assert LESSONS[-2].title in words(app.header)


def answer(app, lesson, value):
    field = next(f for f in (*app.number_input, *app.radio) if str(f.key).startswith("answer "))
    field.set_value(value)
    next(b for b in app.button if b.label == "Check").click()
    return clean(app.run())


@pytest.mark.parametrize("lesson", ASKING, ids=lambda lesson: lesson.key)
def test_a_right_answer_is_praised_and_kept_in_the_link(lesson):
    numbers = numbers_of(lesson)
    question = lesson.question(numbers, shown(lesson, numbers))
    app = answer(page(lesson.key), lesson, question.answer)
    assert "Right." in words(app.success)
    assert param(app, "done") == lesson.key


def test_a_wrong_answer_is_explained_on_the_second_try():
    lesson = LESSONS[0]
    why = lesson.question(numbers_of(lesson), shown(lesson, numbers_of(lesson))).why
    app = answer(page(), lesson, 1.0)
    assert "1 is too low" in words(app.warning)
    assert why not in words(app.warning)
    app = answer(app, lesson, 100.0)
    assert "100 is too high" in words(app.info)
    assert why in words(app.info)
    assert "done" not in app.query_params


def test_another_number_on_a_slider_is_another_question():
    app = answer(page("gpipe"), LESSONS[2], 12.0)
    assert app.success
    app.slider(key="learn/gpipe/p").set_value(6).run()
    assert not app.success
    answer(app, LESSONS[2], 12.0)
    assert "too low" in words(app.warning)


def test_numbers_may_be_rounded():
    question = Question("?", 100 / 12, "because")
    assert right(question, 8.333)
    assert not right(question, 8.4)


@pytest.mark.parametrize(
    ("lesson", "devices", "offered", "value"),
    [
        ("dualpipe", 8, (16, 20, 2), 16),
        ("dualpipe", 2, (4, 20, 2), 8),
        ("interleaved", 6, (6, 24, 6), 6),
        ("interleaved", 3, (3, 12, 3), 9),
        ("gpipe", 3, (1, 16, 1), 8),
    ],
)
def test_a_slider_offers_only_what_goes_with_the_ones_before_it(lesson, devices, offered, value):
    app = page(lesson)
    assert app.slider(key=f"learn/{lesson}/m").value == 8
    clean(app.slider(key=f"learn/{lesson}/p").set_value(devices).run())
    batches = app.slider(key=f"learn/{lesson}/m")
    assert (batches.min, batches.max, batches.step) == offered
    assert batches.value == value
    assert not app.error
    clean(batches.set_value(offered[1]).run())
    assert app.slider(key=f"learn/{lesson}/m").value == offered[1]


@given(low=st.integers(0, 9), step=st.sampled_from([0.5, 1, 3]), count=st.integers(1, 9),
       value=st.floats(-50, 50))  # fmt: skip
def test_the_nearest_value_that_is_offered_is_taken(low, step, count, value):
    scale = Scale(low, low + step * count, step)
    assert abs(scale.nearest(value) - value) == min(abs(one - value) for one in scale.values)


def table_now(app):
    return next(m.value for m in app.markdown if m.value.startswith("| at "))


def test_stepping_through_time_shows_what_runs():
    app = page("one-device")
    assert table_now(app).startswith("| at the end")
    slider = app.select_slider[0]
    slider.set_value(0).run()
    assert "**F 0**, holds 1" in table_now(clean(app))
    step = next(b for b in app.button if b.label == "Step")
    step.click().run()
    assert table_now(clean(app)).startswith("| at 1 ms")
    assert "**B 0**, holds 1" in table_now(app)
    next(b for b in app.button if b.label == "Back").click().run()
    assert table_now(clean(app)).startswith("| at 0 ms")


def test_play_starts_over_and_pause_stops():
    app = page("one-device")
    next(b for b in app.button if b.label == "Play").click().run()
    clean(app)
    assert any(b.label == "Pause" for b in app.button)
    assert not table_now(app).startswith("| at the end")
    next(b for b in app.button if b.label == "Pause").click().run()
    clean(app)
    assert any(b.label == "Play" for b in app.button)


# The exercise ------------------------------------------------------------------------------


def in_order_of(problem, schedule):
    return sorted(range(problem.graph.n_operators), key=lambda o: (schedule.start[o], -o))


@given(
    p=st.integers(2, 3), m=st.integers(2, 4), memory=st.integers(1, 4), data=st.data(),
    W=st.sampled_from([0.5, 1.0, 2.0]),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_whatever_is_not_refused_is_a_valid_schedule(p, m, memory, data, W):
    problem = lesson_pipeline(p, m, W=W, memory=memory)
    placed = []
    for _ in range(problem.graph.n_operators):
        possible = [
            o
            for k in range(p)
            for o in following(problem, placed, k).values()
            if o is not None and refusal(problem, placed, o) is None
        ]
        assert possible, "no dead ends"
        placed.append(data.draw(st.sampled_from(possible)))
        part, schedule = timed_so_far(problem, placed)
        peaks = [profile.used[-1] for profile in memory_profiles(part, schedule)]
        assert peaks == [activations_held(problem, placed, k) for k in range(p)]
    assert part is problem
    assert validate(problem, schedule) == []


def test_a_published_order_built_by_hand_takes_its_published_time():
    problem = lesson_pipeline(3, 4, memory=3)
    expert = run_baseline("zb-h1", problem)
    placed = []
    for o in in_order_of(problem, expert.schedule):
        assert refusal(problem, placed, o) is None
        placed.append(o)
    assert timed_so_far(problem, placed)[1].makespan == expert.schedule.makespan


def test_refusals_name_what_is_missing():
    problem = lesson_pipeline(2, 3, memory=1)
    index = problem.graph.operator_index
    assert "F 0 on gpu1 needs the result of F 0 on gpu0" in refusal(problem, [], index["F1@0"])
    assert "needs the result of" in refusal(problem, [index["F0@0"]], index["I0@0"])
    full = refusal(problem, [index["F0@0"]], index["F0@1"])
    assert "gpu0 already holds 1 activations and its limit is 1" in full


def place(app, device, kind):
    return clean(app.button(key=f"tour place {device} {kind}").click().run())


def test_the_exercise_refuses_undoes_and_draws():
    app = place(page("by-hand"), "gpu1", "forward")
    assert "Not possible: F 0 on gpu1 needs" in words(app.warning)
    app = place(app, "gpu0", "forward")
    assert not app.warning
    assert app.button(key="tour place gpu0 forward").label == "F 1"
    clean(app.button(key="tour undo").click().run())
    assert app.button(key="tour place gpu0 forward").label == "F 0"


def test_the_exercise_compares_with_the_proved_optimum(monkeypatch):
    from pages.components.lessons import proof
    from planner_core.search.planner import plan

    problem = lesson_pipeline(2, 2, F=1.0, I=1.0, W=1.0, memory=3.0)
    order = run_baseline("zb-h1", problem).schedule
    found = plan(problem)
    assert found.status == "optimal"
    monkeypatch.setattr(proof, "proved", lambda key: found)
    app = page("by-hand")
    app.slider(key="learn/by-hand/p").set_value(2)
    app.slider(key="learn/by-hand/m").set_value(2).run()
    graph = problem.graph
    for o in in_order_of(problem, order):
        kind = SPLIT_KINDS["FIW".index(str(graph.operator_ids[o])[0])]
        app = place(app, f"gpu{problem.fixed_device[o]}", kind)
    assert "no order can be shorter" in words(app.success)
    assert param(app, "done") == "by-hand"


def test_the_proof_is_found_beside_the_page():
    app = page("optimum")
    app.button(key="tour prove").click().run()
    clean(app)
    job = app.session_state["tour job"]
    assert job.finished.wait(60)
    clean(app.run())
    clean(app.run())
    assert "Makespan" in words(app.success) + words(app.info)
    assert "proved by" in words(app.success) + words(app.info)
