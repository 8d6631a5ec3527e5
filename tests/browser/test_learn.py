import pytest


@pytest.fixture
def learn(page, server):
    def open_lesson(key):
        page.goto(f"{server}/learn?lesson={key}")
        page.get_by_text("lessons done").first.wait_for()
        return page

    return open_lesson


def answer(page, value):
    field = page.get_by_role("spinbutton", name="Answer")
    field.fill(value)
    field.press("Enter")


def now(page):
    return page.locator("table").first.inner_text()


def test_a_lesson_is_finished_and_the_link_keeps_it(learn):
    page = learn("gpipe")
    page.locator(".js-plotly-plot .bars").first.wait_for()
    answer(page, "5")
    page.get_by_text("5 is too low").wait_for()
    answer(page, "12")
    page.get_by_text("Right.").wait_for()
    page.get_by_text("1 of 10 lessons done").wait_for()
    page.wait_for_url("**/learn?*done=gpipe*")
    page.reload()
    page.get_by_text("1 of 10 lessons done").wait_for()
    page.get_by_role("heading", name="GPipe").wait_for()
    page.get_by_role("button", name="1F1B: less memory").click()
    page.get_by_role("heading", name="1F1B").wait_for()
    page.wait_for_url("**lesson=1f1b*")


def test_time_plays_pauses_and_steps(learn):
    page = learn("split")
    page.get_by_text("at the end").wait_for()
    page.get_by_role("button", name="Play").click()
    page.get_by_text("at 1 ms").wait_for()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Play").wait_for()
    still = now(page)
    page.wait_for_timeout(2000)
    assert now(page) == still
    page.get_by_role("button", name="Back", exact=True).click()
    page.wait_for_function("text => !document.body.innerText.includes(text)", arg=still[:9])


def test_a_slider_moved_by_keyboard_changes_formula_and_schedule(learn):
    page = learn("gpipe")
    page.get_by_role("cell", name="33 ms").first.wait_for()
    slider = page.get_by_role("slider", name="Micro-batches m")
    slider.focus()
    slider.press("ArrowRight")
    page.get_by_role("cell", name="36 ms").first.wait_for()
    assert page.get_by_role("cell", name="36 ms").count() == 2


def test_no_position_of_a_slider_is_refused(learn):
    page = learn("dualpipe")
    page.get_by_role("cell", name="26 ms").first.wait_for()
    devices = page.get_by_role("slider", name="Devices p")
    batches = page.get_by_role("slider", name="Micro-batches m")
    devices.focus()
    for key, least, value in (
        ("ArrowRight", "12", "12"), ("ArrowRight", "16", "16"), ("ArrowLeft", "12", "16"),
    ):  # fmt: skip
        devices.press(key)
        page.locator(f'input[type="range"][min="{least}"]').wait_for(state="attached")
        assert batches.input_value() == value
        assert page.get_by_test_id("stAlert").count() == 0


def place(page, device, operator):
    row = page.get_by_text(f"{device} next:").locator(
        "xpath=ancestor::*[@data-testid='stHorizontalBlock' or @data-testid='stLayoutWrapper'][1]"
    )
    row.get_by_role("button", name=operator, exact=True).click()


def test_the_exercise_by_hand_against_the_proved_optimum(learn):
    page = learn("by-hand")
    for name in ("Devices p", "Micro-batches m"):
        slider = page.get_by_role("slider", name=name)
        slider.focus()
        slider.press("ArrowLeft")
        page.wait_for_timeout(800)
    place(page, "gpu1", "F 0")
    page.get_by_text("Not possible: F 0 on gpu1 needs the result of F 0 on gpu0").wait_for()
    order = ["0 F 0", "0 F 1", "1 F 0", "1 I 0", "1 F 1", "0 I 0", "1 I 1", "0 W 0", "0 I 1"]
    for count, move in enumerate([*order, "0 W 1", "1 W 0", "1 W 1"], start=1):
        place(page, f"gpu{move[0]}", move[2:])
        page.get_by_text(f"{count} of 12 operators placed").wait_for()
    page.get_by_role("button", name="Find the optimum").click()
    page.get_by_text("no order can be shorter").wait_for()
    page.get_by_text("1 of 10 lessons done").wait_for()
