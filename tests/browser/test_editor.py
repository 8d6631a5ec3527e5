import itertools
import json

import pytest

from planner_core.formats.native import parse_problem

SHOWN = ".graph-editor canvas"


@pytest.fixture
def editor(page, server):
    return Editor(page, server)


class Editor:
    """The graph page as a user handles it: by mouse, keys and what is on the screen."""

    def __init__(self, page, server):
        self.page, self.server = page, server
        page.set_default_timeout(40_000)
        page.set_viewport_size({"width": 1280, "height": 1400})

    def open(self, problem):
        self.page.goto(f"{self.server}/graph?problem={problem}")
        self.page.locator(SHOWN).first.wait_for()
        self.wait("cy.nodes().length > 0")
        self.settle()
        return self

    def settle(self):
        """Wait until nothing above the canvas will move it any more."""
        self.page.locator("[data-test-script-state=notRunning]").wait_for()

    def draw_new(self):
        self.page.get_by_role("button", name="New graph").click()
        self.page.get_by_text("This graph has no operators yet.").wait_for()

    def names(self):
        return self.page.evaluate(
            """() => document.querySelector('.graph-editor').cytoscape
                 .nodes().map((node) => node.data('row')?.id ?? node.data('path'))"""
        )

    def edges(self):
        return self.page.evaluate(
            """() => document.querySelector('.graph-editor').cytoscape.edges().map(
                 (edge) => [edge.source().data('row').id, edge.target().data('row').id])"""
        )

    def wait(self, condition):
        """Wait for a condition on the drawn graph ``cy``."""
        self.page.wait_for_function(
            f"""() => {{ const cy = document.querySelector('.graph-editor').cytoscape;
                return {condition}; }}"""
        )

    def place(self, name, side=0.0):
        """Screen position of an operator; ``side`` 0 is its middle, 1 its right edge."""
        return self.page.evaluate(
            """([name, side]) => {
                 const root = document.querySelector('.graph-editor');
                 const node = root.cytoscape.nodes().filter(
                   (n) => (n.data('row')?.id ?? n.data('path')) === name)[0];
                 const at = node.renderedPosition(), box = root.querySelector('.ge-canvas')
                   .getBoundingClientRect();
                 return [box.left + at.x + side * node.renderedWidth() / 2, box.top + at.y]; }""",
            [name, side],
        )

    def empty_spot(self, x, y):
        box = self.page.locator(".ge-canvas").bounding_box()
        return box["x"] + x, box["y"] + y

    def add(self, x, y):
        before = len(self.names())
        self.page.mouse.dblclick(*self.empty_spot(x, y))
        self.wait(f"cy.nodes().length === {before + 1}")

    def connect(self, source, target):
        self.page.mouse.move(*self.place(source))
        self.page.mouse.move(*self.place(source, 1.0))
        self.page.locator(".ge-port").wait_for()
        self.page.mouse.down()
        self.page.mouse.move(*self.place(target), steps=6)
        self.page.mouse.up()

    def choose(self, name):
        self.page.mouse.click(*self.place(name))
        self.page.locator(".ge-panel h4", has_text="Operator").wait_for()

    def fill(self, label, value):
        field = self.page.locator(".ge-panel").get_by_label(label)
        field.fill(value)
        field.press("Enter")

    def downloaded(self):
        """The problem as Python has it."""
        self.page.wait_for_function(
            "() => document.querySelector('.graph-editor').dataset.waiting === '0'"
        )
        for _ in range(5):  # a run that begins takes the file away until it is drawn again
            self.settle()
            with self.page.expect_download() as waiting:
                self.page.get_by_role("button", name="Problem (JSON)").click()
            if waiting.value.failure() is None:
                break
        return parse_problem(waiting.value.path().read_bytes())


def test_a_graph_is_drawn_with_the_mouse_and_planned(editor):
    page = editor.open("small_graph").page
    editor.draw_new()
    page.get_by_role("button", name="Add your first operator").click()
    editor.wait("cy.nodes().length === 1")
    editor.add(560, 120)
    editor.add(560, 400)
    assert editor.names() == ["op0", "op1", "op2"]
    editor.connect("op0", "op1")
    editor.connect("op0", "op2")
    editor.wait("cy.edges().length === 2")

    editor.choose("op1")
    editor.fill("duration", "7")
    editor.wait("cy.nodes().some((node) => node.data('row').duration === 7)")
    editor.choose("op0")
    editor.fill("id", "read")
    problem = editor.downloaded()
    assert sorted(problem.template.duration.tolist()) == [1, 1, 7]
    assert problem.template.tensors_frame().producer.tolist() == ["read", "read"]

    page.get_by_role("link", name="Plan").first.click()
    page.get_by_role("button", name="Solve").click()
    said = page.get_by_test_id("stAlert").filter(has_text="optimal, proved by")
    said.first.wait_for()
    assert "Makespan 8" in said.first.inner_text()


def test_a_cycle_is_refused_and_the_graph_left_as_it_was(editor):
    page = editor.open("small_graph").page
    before = sorted(editor.edges())
    editor.connect("loss", "read")
    said = page.locator(".ge-said")
    said.wait_for()
    assert "cycle" in said.inner_text()
    editor.wait(f"cy.edges().length === {len(before)}")
    assert sorted(editor.edges()) == before


def test_negative_duration_and_a_taken_id_are_refused(editor):
    page = editor.open("small_graph").page
    editor.choose("merge")
    editor.fill("duration", "-2")
    page.locator(".ge-said", has_text="'merge' has duration -2").wait_for()
    editor.wait("cy.nodes().every((node) => node.data('row').duration > 0)")
    editor.choose("merge")
    editor.fill("id", "loss")
    page.locator(".ge-said", has_text="'loss' is there already").wait_for()
    assert "merge" in editor.names()


def test_delete_undo_and_redo_by_keys(editor):
    page = editor.open("small_graph").page
    editor.choose("merge")
    page.keyboard.press("Delete")
    editor.wait("cy.nodes().length === 9 && cy.edges().length === 8")
    page.keyboard.press("Control+z")
    editor.wait("cy.nodes().length === 10 && cy.edges().length === 12")
    page.keyboard.press("Control+Shift+z")
    editor.wait("cy.nodes().length === 9")
    page.keyboard.press("Control+z")
    editor.wait("cy.nodes().length === 10")
    assert editor.downloaded().template.n_operators == 10


def test_a_large_graph_is_shown_as_groups_that_open(editor):
    page = editor.open("bidirectional_8x20").page
    editor.wait("cy.nodes('.group').length > 1")
    first = editor.names()[0]
    page.mouse.dblclick(*editor.place(first))
    editor.wait("cy.nodes('[row]').length > 20")
    page.get_by_role("searchbox", name="Find an operator").fill("F0@3")
    editor.wait("cy.nodes('.found').length > 0")


def test_what_is_typed_in_a_table_shows_on_the_canvas(editor):
    page = editor.open("small_graph").page
    table = page.get_by_test_id("stDataFrame").locator("visible=true").first
    box = table.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.26, box["y"] + 52)
    page.wait_for_timeout(400)  # the table takes keys only once it has drawn its cursor
    page.keyboard.press("Enter")
    page.wait_for_timeout(400)
    page.keyboard.press("Control+a")
    page.keyboard.type("9", delay=50)
    page.wait_for_timeout(400)  # what is typed counts after a pause
    page.keyboard.press("Enter")
    editor.wait("cy.nodes().some((node) => node.data('row').duration === 9)")
    assert json.dumps(editor.downloaded().template.duration.tolist()).count("9.0") == 1


def test_operators_are_walked_through_and_edited_by_keyboard(editor):
    page = editor.open("small_graph").page
    page.locator(".graph-editor").focus()
    page.keyboard.press("ArrowRight")
    editor.wait("cy.nodes(':selected').some((node) => node.data('row').id === 'read')")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    field = page.locator(".ge-panel").get_by_label("id")
    field.wait_for()
    name = field.input_value()
    page.keyboard.type("renamed")
    page.keyboard.press("Enter")
    editor.wait("cy.nodes().some((node) => node.data('row').id === 'renamed')")
    assert name not in editor.names()
    page.keyboard.press("Control+z")
    editor.wait(f"cy.nodes().some((node) => node.data('row').id === '{name}')")


def test_the_merged_graph_is_looked_at_and_opened(editor):
    page = editor.open("mixed_cluster").page
    for box, choice in (("Group by", "merging"), ("Merging", "combined")):
        page.get_by_role("combobox", name=box).click()
        page.get_by_role("option", name=choice, exact=True).click()
        editor.settle()
    cap = page.get_by_role("spinbutton", name="Merging cap")
    cap.fill("12")
    cap.press("Enter")
    editor.wait("cy.nodes('.group').length === 3")
    page.get_by_text("12 operators become 8").wait_for()
    editor.settle()
    page.locator(".graph-editor").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    editor.wait("cy.nodes('.box').length === 1 && cy.nodes('.group').length === 2")
    assert {"F0", "F1", "F2"} <= set(editor.names())


def test_a_long_chain_is_broken_into_lines_that_can_be_read(editor):
    page = editor.open("mixed_cluster").page
    page.get_by_role("tab", name="Generate").click()
    page.get_by_text("Random layers", exact=True).first.click()
    operators = page.get_by_role("spinbutton", name="Operators")
    operators.fill("400")
    operators.press("Tab")
    page.get_by_role("button", name="Generate").last.click()
    page.locator(SHOWN).first.wait_for()
    editor.wait("cy.nodes('.group').length > 10")
    editor.wait("cy.zoom() > 0.5")


def test_labels_of_arrows_that_cross_stand_apart(editor):
    editor.open("small_graph").wait("cy.edges('.said').length === 12")
    editor.wait("""cy.edges().every((edge) => {
        const at = (one) => { const { x, y } = one.midpoint(); return [
            x + one.numericStyle("text-margin-x"), y + one.numericStyle("text-margin-y")]; };
        const [x, y] = at(edge);
        return cy.edges().every((other) => other === edge
            || Math.abs(at(other)[0] - x) > 25 || Math.abs(at(other)[1] - y) > 12);
    })""")


def test_the_drawing_fits_the_window_until_it_is_moved(editor):
    page = editor.open("small_graph").page
    wide = page.evaluate("() => document.querySelector('.graph-editor').cytoscape.zoom()")
    page.set_viewport_size({"width": 900, "height": 1400})
    editor.wait(f"cy.zoom() < {wide} && cy.nodes().renderedBoundingBox().x2 <= cy.width()")
    page.get_by_role("button", name="+", exact=True).click()
    near = page.evaluate("() => document.querySelector('.graph-editor').cytoscape.zoom()")
    page.set_viewport_size({"width": 1280, "height": 1400})
    editor.wait("cy.width() > 700")
    editor.wait(f"cy.zoom() === {near}")


class Wire:
    """The connection between page and server; messages of either can be held or lost."""

    def __init__(self, page):
        self.hold, self.held, self.lose, self.lost = False, [], 0, 0
        page.route_web_socket("**/_stcore/stream", self._connect)

    def _connect(self, browser):
        server = browser.connect_to_server()

        def to_server(message):
            if self.lost < self.lose and b'"list":[{' in message:
                self.lost += 1
            else:
                server.send(message)

        def to_browser(message):
            if self.hold:
                self.held.append(lambda: browser.send(message))
            else:
                browser.send(message)

        browser.on_message(to_server)
        server.on_message(to_browser)

    def release(self):
        self.hold = False
        while self.held:
            self.held.pop(0)()


def drawn(editor, count):
    """Draw a chain of operators as fast as the mouse goes."""
    for i in range(count):
        editor.add(80 + 150 * (i % 5), 100 + 130 * (i // 5))
    for i in range(count - 1):
        editor.connect(f"op{i}", f"op{i + 1}")
    editor.wait(f"cy.edges().length === {count - 1}")


def parts(problem):
    """Names of the operators, and the arrows between them."""
    tensors = problem.template.tensors_frame()
    arrows = zip(tensors.producer, tensors.consumers, strict=True)
    return list(problem.template.operator_ids), list(arrows)


def chain(count):
    names = [f"op{i}" for i in range(count)]
    return names, list(itertools.pairwise(names))


def test_what_is_drawn_before_the_server_answers_is_all_kept(editor):
    wire = Wire(editor.page)
    editor.open("small_graph").draw_new()
    wire.hold = True
    drawn(editor, 10)
    assert wire.held, "the server has tried to answer"
    wire.release()
    assert parts(editor.downloaded()) == chain(10)
    assert sorted(editor.names()) == sorted(f"op{i}" for i in range(10))


def test_messages_that_get_lost_are_told_again(editor):
    wire = Wire(editor.page)
    editor.open("small_graph").draw_new()
    wire.lose = 7
    drawn(editor, 3)
    assert parts(editor.downloaded()) == chain(3)
    assert wire.lost == 7
    assert len(editor.edges()) == 2


def test_an_edit_made_while_the_page_is_left_is_told_when_it_is_shown_again(editor):
    wire = Wire(editor.page)
    page = editor.open("small_graph").page
    wire.lose = 10**6
    page.mouse.dblclick(*editor.empty_spot(60, 500))
    editor.wait("cy.nodes().length === 11")
    page.get_by_role("link", name="Learn").first.click()
    page.get_by_role("heading", name="One device").wait_for()
    wire.lose = 0
    page.get_by_role("link", name="Graph").first.click()
    page.locator(SHOWN).first.wait_for()
    editor.wait("cy.nodes().length === 11")
    assert "op0" in editor.downloaded().template.operator_index
