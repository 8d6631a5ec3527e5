import copy
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from pages.components.editor import drawing as drawing_module
from pages.components.editor import taking
from pages.components.editor.drawing import Drawing
from pages.components.editor.edits import apply, blank, checked
from pages.components.editor.tables import edits_of, frame
from pages.components.editor.view import MOST_SHOWN, visible
from pages.components.problems import sample_problem
from planner_core.formats.native import problem_document
from planner_core.merging.upper_level import merge
from planner_core.problem import InputError
from planner_core.workloads import pipeline

PAGE = str(Path(__file__).parents[2] / "pages" / "graph.py")


@pytest.fixture
def small():
    return problem_document(sample_problem("small_graph"))


def set_operator(name, **fields):
    return {"do": "set", "table": "operators", "id": name, "fields": fields}


def sent(drawing, *edits):
    """What the browser sends after these edits."""
    made = {"drawing": drawing.number, "rev": drawing.rev}
    numbered = [{"seq": drawing.applied + i, **made, **edit} for i, edit in enumerate(edits, 1)]
    return {"key": drawing.key, "time": 1, "list": numbered}


def added(name):
    return {"do": "add", "table": "operators", "row": {"id": name, "duration": 1.0}}


def names(drawing):
    return [row["id"] for row in drawing.document["operators"]]


def test_an_empty_graph_grows_into_a_problem():
    drawing = Drawing(blank())
    assert checked(drawing.document) is None
    problem = drawing.from_browser(
        sent(
            drawing,
            {"do": "add", "table": "operators", "row": {"id": "op0", "duration": 1}},
            {"do": "add", "table": "operators", "row": {"id": "op1", "duration": 2}},
            {"do": "connect", "source": "op0", "target": "op1", "tensor": "t0"},
        )
    )
    assert problem.template.n_operators == 2
    assert problem.template.edge_target.tolist() == [1]
    assert drawing.rev == 0, "the canvas has made these changes itself"


def test_an_edit_is_taken_once(small):
    drawing = Drawing(small)
    message = sent(drawing, set_operator("merge", duration=8.0))
    assert drawing.from_browser(message) is not None
    assert drawing.from_browser(message) is None
    assert len(drawing.past) == 1


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ({"do": "connect", "source": "loss", "target": "read", "tensor": "t"}, "cycle"),
        ({"do": "connect", "source": "read", "target": "read", "tensor": "t"}, "own producer"),
        ({"do": "connect", "source": "text", "target": "loss", "tensor": "read out"}, "another id"),
        (set_operator("merge", duration=-1), "'merge' has duration -1"),
        (set_operator("merge", duration=None), "'merge'"),
        (set_operator("merge", id="loss"), "'loss' is there already"),
        (set_operator("merge", id=""), "at least one character"),
        (set_operator("merge", devices=["tpu0"]), "'tpu0', which does not exist"),
        (set_operator("merge", kind="sideways"), "kind"),
        (set_operator("merge", colour="red"), "colour"),
        (set_operator("nobody", duration=1), "'nobody'"),
        ({"do": "set", "table": "devices", "id": "gpu0", "fields": {"memory": -1}}, "memory"),
        ({"do": "delete", "rows": {"devices": ["gpu0", "gpu1", "gpu2"]}}, "device"),
        ({"do": "settings", "fields": {"micro_batches": 0}}, "micro_batches"),
        ({"do": "fly"}, "reload"),
        ({"do": "set", "table": "elsewhere", "id": "a", "fields": {}}, "reload"),
    ],
)
def test_a_bad_edit_is_refused_and_changes_nothing(small, edit, words):
    drawing = Drawing(small)
    before = copy.deepcopy(small)
    assert drawing.from_browser(sent(drawing, edit)) is None
    assert words in drawing.refused
    assert drawing.refused.endswith(".")
    assert drawing.document == before
    assert drawing.past == []
    assert drawing.rev == 1, "the canvas must go back"


def test_edits_after_a_refused_one_are_dropped_with_it(small):
    drawing = Drawing(small)
    message = sent(drawing, set_operator("merge", duration=-1), set_operator("read", duration=5))
    drawing.from_browser(message)
    assert drawing.document == small
    assert "right after it was undone" in drawing.refused
    late = {"seq": 9, "drawing": drawing.number, "rev": 0, **set_operator("read", duration=5)}
    drawing.from_browser({"list": [late]})
    assert drawing.document == small
    drawing.from_browser(sent(drawing, set_operator("read", duration=5)))
    assert drawing.document["operators"][0]["duration"] == 5
    assert drawing.refused is None


def test_edits_of_another_drawing_are_counted_but_not_made(small):
    drawing = Drawing(small, number=4)
    message = sent(drawing, added("mine"))
    message["list"].append({**message["list"][0], **added("other"), "seq": 2, "drawing": 3})
    drawing.from_browser(message)
    assert names(drawing)[-1] == "mine"
    assert drawing.applied == 2, "or the browser would tell it forever"


def test_an_edit_made_before_an_undo_was_seen_is_kept():
    drawing = Drawing(blank())
    drawing.from_browser(sent(drawing, added("op0")))
    message = sent(drawing, {"do": "undo"}, added("op1"))
    drawing.from_browser(message)
    assert names(drawing) == ["op1"]
    assert drawing.rev == 1, "the canvas must take the graph from here"


def test_what_is_added_to_groups_is_drawn(small):
    drawing = Drawing(small)
    for grouping, rev in (("nothing", 0), ("stage", 2)):
        drawing.group((grouping,))
        drawing.from_browser(sent(drawing, added(f"in {grouping}")))
        assert drawing.rev == rev


class Browser:
    """The browser's side: it tells every edit until it hears that Python has it."""

    def __init__(self, drawing):
        self.drawing, self.pending, self.seq, self.rev = drawing, [], 0, drawing.rev
        self.messages = []

    def make(self, edit):
        self.seq += 1
        made = {"seq": self.seq, "drawing": self.drawing.number, "rev": self.rev}
        self.pending.append({**made, **edit})
        self.send()

    def send(self):
        self.messages.append({"key": "", "list": list(self.pending)})

    def hear(self):
        self.rev = self.drawing.rev
        self.pending = [e for e in self.pending if e["seq"] > self.drawing.applied]


@given(st.lists(st.one_of(
    st.sampled_from(["add", "undo and add", "hear"]), st.integers(0, 99)
), max_size=40))  # fmt: skip
def test_every_edit_is_made_once_and_in_order_whatever_gets_lost(actions):
    """A number delivers any message sent so far, late ones and repeated ones too."""
    drawing = Drawing(blank(), number=3)
    browser, expected = Browser(drawing), []
    for action in actions:
        if isinstance(action, int):
            if browser.messages:
                drawing.from_browser(browser.messages[action % len(browser.messages)])
        elif action == "hear":
            browser.hear()
        else:
            if action == "undo and add":
                browser.make({"do": "undo"})
                del expected[-1:]
            expected.append(f"op{browser.seq}")
            browser.make(added(expected[-1]))
    browser.send()
    drawing.from_browser(browser.messages[-1])
    assert names(drawing) == expected
    assert len(drawing.past) == len(expected)
    browser.hear()
    assert browser.pending == []


def test_a_new_id_follows_into_tensors_and_devices(small):
    renamed = apply(small, set_operator("merge", id="join"))
    frame_of = checked(renamed).template.tensors_frame()
    assert "join" in set(frame_of.producer)
    assert "merge" not in " ".join(frame_of.consumers)
    placed = apply(small, set_operator("merge", devices=["gpu1"]))
    moved = apply(placed, {"do": "set", "table": "devices", "id": "gpu1", "fields": {"id": "big"}})
    assert checked(moved).template.device_sets == (("big",),)


def test_the_only_device_of_an_operator_stays(small):
    placed = apply(small, set_operator("merge", devices=["gpu1"]))
    with pytest.raises(InputError, match="'merge' may run on no other device"):
        apply(placed, {"do": "delete", "rows": {"devices": ["gpu1"]}})


def test_deleting_an_operator_takes_its_tensors_along(small):
    left = checked(apply(small, {"do": "delete", "rows": {"operators": ["merge"]}})).template
    assert left.n_operators == 9
    assert left.tensor_index.keys().isdisjoint({"merge out", "text2 out", "align out"})


def test_deleting_one_arrow_keeps_the_tensors_others(small):
    left = apply(small, {"do": "delete", "edges": [["read out", "text"]]})
    graph = checked(left).template
    named = graph.operator_ids[graph.consumers_of(graph.tensor_index["read out"])]
    assert named.tolist() == ["image", "audio"]


steps = st.one_of(
    st.builds(
        lambda i, d: set_operator(f"op{i}", duration=d), st.integers(0, 6), st.floats(-1, 9)
    ),
    st.builds(
        lambda i: {"do": "add", "table": "operators", "row": {"id": f"op{i}", "duration": 1.0}},
        st.integers(0, 6),
    ),
    st.builds(
        lambda a, b, t: {
            "do": "connect", "source": f"op{a}", "target": f"op{b}", "tensor": f"t{t}",
        },
        st.integers(0, 6), st.integers(0, 6), st.integers(0, 9),
    ),
    st.builds(
        lambda i: {"do": "delete", "rows": {"operators": [f"op{i}"]}, "edges": []},
        st.integers(0, 6),
    ),
)  # fmt: skip


@given(st.lists(steps, max_size=25))
def test_whatever_is_done_the_graph_stays_sound_and_undo_goes_all_the_way_back(edits):
    drawing = Drawing(blank())
    seen = [drawing.document]
    for edit in edits:
        drawing.from_browser(sent(drawing, edit))
        checked(drawing.document)
        if drawing.refused is None:
            seen.append(drawing.document)
    for document in reversed(seen[:-1]):
        drawing.undo()
        assert drawing.document == document
    for document in seen[1:]:
        drawing.redo()
        assert drawing.document == document


@pytest.mark.parametrize("name", ["operators", "tensors", "parameter_groups", "devices"])
def test_a_table_that_is_not_touched_changes_nothing(small, name):
    assert len(frame(small, name)) == len(small.get(name, small["cluster"].get(name)))
    assert edits_of(name, small, {"edited_rows": {}, "added_rows": [], "deleted_rows": []}) == []


def test_cells_become_edits_and_unfinished_rows_wait(small):
    drawing = Drawing(small)
    typed = {
        "edited_rows": {8: {"duration": 6.0, "devices": "gpu0, gpu2", "stage": 1}},
        "added_rows": [{"id": "extra", "duration": 2.0, "kind": "other"}, {"duration": 1.0}],
        "deleted_rows": [9],
    }
    drawing.change(edits_of("operators", small, typed), "operators", small)
    assert drawing.refused is None
    rows = {row["id"]: row for row in drawing.document["operators"]}
    assert rows["merge"] == {
        "id": "merge", "duration": 6.0, "devices": ["gpu0", "gpu2"], "stage": 1,
    }  # fmt: skip
    assert rows["extra"] == {"id": "extra", "duration": 2.0}
    assert "loss" not in rows


def test_typing_on_in_one_table_counts_from_where_it_began(small):
    drawing = Drawing(small)
    base = drawing.base("operators")
    for typed in ({8: {"id": "a"}}, {8: {"id": "b"}, 0: {"duration": 3.0}}):
        drawing.change(edits_of("operators", base, {"edited_rows": typed}), "operators", base)
        assert drawing.base("operators") is base
    assert drawing.document["operators"][8]["id"] == "b"
    drawing.from_browser(sent(drawing, set_operator("b", duration=1.0)))
    assert drawing.base("operators") is drawing.document


def test_durations_per_type_are_edited_one_by_one():
    document = problem_document(sample_problem("mixed_cluster"))
    at, row = next(
        (i, r) for i, r in enumerate(document["operators"]) if isinstance(r["duration"], dict)
    )
    first = next(iter(row["duration"]))
    edits = edits_of("operators", document, {"edited_rows": {at: {f"duration {first}": 42.0}}})
    changed = apply(document, edits[0])["operators"][at]["duration"]
    assert changed == row["duration"] | {first: 42.0}


def test_a_group_has_the_colour_of_a_kind_only_if_all_in_it_are_of_that_kind():
    document = problem_document(pipeline(4, 30, "linear"))
    for grouping, kinds in (("kind", {"forward", "backward_input", "backward_weight"}),
                            ("stage", {"mixed"})):  # fmt: skip
        assert {node["kind"] for node in visible(document, (), grouping)["nodes"]} == kinds


def test_every_sample_can_be_drawn():
    document = problem_document(pipeline(4, 30, "linear"))
    assert not visible(document, ())["merged"]


def owners(view):
    return {item["node"] for item in view["nodes"]}


@pytest.mark.parametrize("operators", [301, 5000])
def test_a_long_chain_is_drawn_as_few_groups(operators):
    document = blank() | {
        "operators": [{"id": f"o{i}", "duration": 1.0} for i in range(operators)],
        "tensors": [
            {"id": f"t{i}", "producer": f"o{i}", "consumers": [f"o{i + 1}"]}
            for i in range(operators - 1)
        ],
    }
    view = visible(document, ())
    assert view["merged"]
    assert sum(item["count"] for item in view["nodes"]) == operators
    assert len(view["edges"]) == len(view["nodes"]) - 1
    first = view["nodes"][0]["path"]
    opened = visible(document, [first])
    assert len(opened["nodes"]) > len(view["nodes"])
    assert opened["groups"][0]["path"] == first


def test_opening_everything_never_shows_too_much():
    document = problem_document(sample_problem("bidirectional_8x20"))
    paths = [item["path"] for item in visible(document, ())["nodes"]]
    view = visible(document, paths)
    assert len(view["nodes"]) <= MOST_SHOWN
    assert {e[end] for e in view["edges"] for end in ("source", "target")} <= owners(view)


def test_a_small_graph_is_grouped_on_request(small):
    assert not visible(small, ())["merged"]
    view = visible(small, (), "stage")
    assert view["merged"]
    assert len(view["nodes"]) == 10, "nothing tells its operators apart"
    staged = visible(problem_document(pipeline(4, 6)), (), "stage")
    assert [item["label"] for item in staged["nodes"]] == [f"stage {s}" for s in range(4)]


def test_macro_operators_are_drawn_as_groups_that_open(small):
    macro = {row["id"]: 0 if row["id"] in ("align", "merge", "loss") else i
             for i, row in enumerate(small["operators"], 1)}  # fmt: skip
    view = visible(small, (), "merging", macro)
    groups = [item for item in view["nodes"] if "path" in item]
    assert [item["label"] for item in groups] == ["align + 2"]
    assert groups[0]["count"] == 3
    assert len(view["nodes"]) == 8
    opened = visible(small, [groups[0]["path"]], "merging", macro)
    assert len([item for item in opened["nodes"] if "row" in item]) == 10
    assert {item["parent"] for item in opened["nodes"]} == {None, groups[0]["node"]}


@pytest.mark.parametrize("size", [1, 7, 400])
def test_many_macro_operators_are_drawn_within_groups_and_stay_whole(size):
    document = problem_document(sample_problem("bidirectional_8x20"))
    macro = {row["id"]: i // size for i, row in enumerate(document["operators"])}
    closed = visible(document, (), "merging", macro)
    assert len(closed["nodes"]) <= MOST_SHOWN
    assert sum(item.get("count", 1) for item in closed["nodes"]) == 480
    paths = [item["path"] for item in closed["nodes"] if "path" in item]
    view = visible(document, paths[:1], "merging", macro)
    assert len(view["nodes"]) <= MOST_SHOWN
    inside = [item for item in view["nodes"] if item.get("parent")]
    assert inside
    assert all(item.get("count", 1) <= max(size, 1) for item in inside if size == 7)


def test_opening_and_closing_groups_is_no_step_to_undo():
    drawing = Drawing(problem_document(sample_problem("bidirectional_8x20")))
    path = visible(drawing.document, ())["nodes"][0]["path"]
    drawing.from_browser(sent(drawing, {"do": "open", "path": path}))
    assert drawing.opened == [path]
    drawing.from_browser(sent(drawing, {"do": "close", "path": path}))
    assert drawing.opened == []
    assert drawing.past == []


class Rerun(Exception):
    """What Streamlit raises to begin a run anew."""


@pytest.fixture
def session(monkeypatch):
    """The state of a session that shows the small graph on the Graph page."""

    def rerun():
        raise Rerun

    state = {"problem": "small_graph"}
    monkeypatch.setattr(taking.st, "session_state", state)
    monkeypatch.setattr(taking.st, "rerun", rerun)
    taking.drawing_of("small_graph")
    return state


def test_a_control_that_is_only_shown_changes_nothing(session):
    """Streamlit calls a control's callback, too, when the run that first showed it ended early."""
    drawing = session["drawing"]
    for value, steps in ((1, 0), (3, 1)):
        session["box"] = value
        edit = {"do": "settings", "fields": {"micro_batches": value}}
        taking.take("box", 1, lambda _, edit=edit: edit)
        assert len(drawing.past) == steps
    assert drawing.document["micro_batches"] == 3


def test_a_table_that_is_only_shown_changes_nothing(session):
    drawing = session["drawing"]
    session["table"] = {"edited_rows": {}, "added_rows": [], "deleted_rows": []}
    taking.take_table("operators", "table")
    assert drawing.past == []
    assert drawing.rev == 0


def test_a_choice_that_was_under_way_gives_way_to_the_copy_until_the_browser_knows_it(session):
    drawing = session["drawing"]
    session["draw/canvas"] = {"edits": sent(drawing, set_operator("merge", duration=8.0))}
    taking.take_canvas()
    copy_key = session["problem"]
    assert copy_key not in ("small_graph", None)
    assert taking.drawing_of(copy_key) is drawing
    with pytest.raises(Rerun):
        taking.drawing_of("small_graph")
    assert session["next problem"] == copy_key
    session["draw/canvas"]["edits"]["key"] = copy_key  # the browser has heard
    assert taking.drawing_of(copy_key) is drawing
    assert taking.drawing_of("small_graph") is not drawing, "now it is the user's choice"
    assert session["own_problems"][copy_key][1].template.duration.max() == 8


def test_another_choice_counts_at_once_and_nothing_drawn_before_is_lost(session):
    drawing = session["drawing"]
    session["problem"] = "mixed_cluster"
    session["draw/canvas"] = {"edits": sent(drawing, set_operator("merge", duration=8.0))}
    assert taking.drawing_of("mixed_cluster").key == "mixed_cluster"
    ((_, problem),) = session["own_problems"].values()
    assert problem.template.duration.max() == 8


def test_a_new_graph_keeps_what_was_done_to_the_one_before(session):
    drawing = session["drawing"]
    session["draw/canvas"] = {"edits": sent(drawing, set_operator("merge", duration=8.0))}
    taking.draw_empty()
    empty = session["drawing"]
    assert empty.document["operators"] == []
    assert taking.drawing_of(session["problem"]) is empty
    with pytest.raises(Rerun):
        taking.drawing_of("small_graph")
    session["draw/canvas"] = {"edits": sent(empty, added("op0"))}
    taking.take_canvas()
    assert [len(p.template.operator_ids) for _, p in session["own_problems"].values()] == [10, 1]


def test_a_run_waits_for_the_one_it_ended_before_it_takes_more(session, monkeypatch):
    """A rerun begins while the run before it is still making an edit."""
    drawing = session["drawing"]
    edits = sent(drawing, *(added(f"new{i}") for i in range(4)))
    began, go_on = threading.Event(), threading.Event()

    def slow(document):
        if threading.current_thread() is ended and not began.is_set():
            began.set()
            go_on.wait(60)
        return checked(document)

    monkeypatch.setattr(drawing_module, "checked", slow)
    ended, rerun = (threading.Thread(target=taking.take_canvas, daemon=True) for _ in range(2))
    session["draw/canvas"] = {"edits": edits | {"list": edits["list"][:2]}}
    ended.start()
    assert began.wait(60)
    session["draw/canvas"] = {"edits": edits}
    rerun.start()
    rerun.join(0.2)  # would have made its edits by now, to be overwritten
    go_on.set()
    for run in (ended, rerun):
        run.join(60)
    assert names(drawing)[-4:] == [f"new{i}" for i in range(4)]
    assert len(drawing.past) == 4
    assert len(session["own_problems"]) == 1, "a sample is copied once"


def page_of(key):
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.session_state["problem"] = key
    return app.run()


def test_the_merged_graph_is_looked_at_and_a_cap_changes_it():
    app = page_of("small_graph")
    rev = app.session_state["drawing"].rev
    app.selectbox(key="draw/group").select("merging").run()
    assert not app.exception
    assert "small ones searched as they are" in " ".join(c.value for c in app.caption)
    app.selectbox(key="merging/small_graph").select("combined").run()
    assert "Nothing is merged with a cap of" in " ".join(c.value for c in app.caption)
    app.number_input(key="merging_cap/small_graph").set_value(9.0).run()
    assert not app.exception
    macros = merge(sample_problem("small_graph"), "combined", cap=9.0).n_macros
    assert f"10 operators become {macros}; the" in " ".join(c.value for c in app.caption)
    assert app.session_state["drawing"].rev > rev, "the canvas must draw other groups"


def test_every_grouping_of_every_sample_opens():
    for key in ("small_graph", "mixed_cluster", "bidirectional_8x20", "job_shop_ft06"):
        app = page_of(key)
        for group in app.selectbox(key="draw/group").options:
            app.selectbox(key="draw/group").select(group).run()
            assert not app.exception


def test_the_page_begins_a_new_graph_and_copies_a_sample_before_it_is_changed():
    app = AppTest.from_file(PAGE, default_timeout=60).run()
    app.selectbox(key="problem").select("small_graph").run()
    assert not app.exception
    batches = next(n for n in app.number_input if n.label == "Micro-batches")
    batches.set_value(3).run()
    assert not app.exception
    key = app.selectbox(key="problem").value
    assert app.session_state["own_problems"][key][1].micro_batches == 3
    assert sample_problem("small_graph").micro_batches == 1
    next(b for b in app.button if b.label == "New graph").click()
    app.run()
    assert not app.exception
    assert app.session_state["drawing"].document["operators"] == []
