"""The graph being drawn: its document, its history, and what the browser has seen of it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pages.components.editor.edits import Document, Edit, apply, checked
from pages.components.editor.view import MOST_SHOWN, WHOLE
from planner_core.problem import PlannerError, Problem

MOST_STEPS = 200
"""Steps that can be undone."""

_WITH_IT = " What was done right after it was undone with it."


@dataclass(eq=False)
class Drawing:
    """A document that is edited from the canvas and from tables.

    Parameters
    ----------
    document : dict
        Native document; never changed in place, so that history can keep it.
    number : int
        Tells this drawing from all others; the browser may still tell edits of an earlier one.
    rev : int
        Grows whenever the browser must take the graph from here.
    applied : int
        Number of the last edit taken from the browser. It tells each edit until it hears that
        this number covers it, so an edit may come often, but never before an earlier one.
    sound : int
        Edits made to an older graph than this were made to one that was refused.
    past, future : lists of documents
        What undo and redo go back to.
    opened : list of str
        Groups that are open, oldest first.
    grouping : tuple or None
        What groups were last made by.
    starts_new : bool
        Begun empty: its first operator makes a problem of its own.
    key : str
        Key of the problem it is drawn from, then of the problem it is kept as.
    problem, kept : Problem or None
        What is drawn, if it has operators and was changed; and what of it the other pages know.
    left : set of str
        Keys of the problems it was copied from, which the browser may still send as the chosen
        one; empty once it has said that it knows the present key.
    typed : dict
        What was last taken from each table.
    refused, refused_in : str or None
        Why the last edit was not made, and where it was tried.
    lock : RLock
        Held by whoever changes the drawing. A rerun begins before the run it ends has come to its
        end, so two may be at it at once, and each would overwrite what the other made.
    """

    document: Document
    number: int = 0
    rev: int = 0
    applied: int = 0
    sound: int = 0
    past: list[Document] = field(default_factory=list)
    future: list[Document] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    starts_new: bool = False
    key: str = ""
    problem: Problem | None = None
    kept: Problem | None = None
    left: set[str] = field(default_factory=set)
    typed: dict[str, Any] = field(default_factory=dict)
    refused: str | None = None
    refused_in: str | None = None
    grouping: tuple[Any, ...] | None = None
    versions: dict[str, int] = field(default_factory=dict)
    bases: dict[str, Document] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def group(self, grouping: tuple[Any, ...]) -> None:
        """Show the graph in other groups, all closed, if they are others than before."""
        with self.lock:
            if self.grouping not in (None, grouping):
                self.opened = []
                self.rev += 1
            self.grouping = grouping

    def from_browser(self, message: Mapping[str, Any] | None) -> Problem | None:
        """Take the edits of the canvas that are new; return the problem if it changed."""
        changed: Problem | None = None
        for edit in message["list"] if message else ():
            if edit["seq"] <= self.applied:
                continue
            self.applied = edit["seq"]
            if edit["drawing"] != self.number:
                continue
            if edit["rev"] >= self.sound:
                changed = self._one(edit) or changed
            elif self.refused and not self.refused.endswith(_WITH_IT):
                self.refused += _WITH_IT
        return changed

    def _one(self, edit: Edit) -> Problem | None:
        what = edit.get("do")
        if what in ("undo", "redo"):
            return self.undo() if what == "undo" else self.redo()
        if what in ("open", "close"):
            self.opened = [path for path in self.opened if path != edit["path"]]
            if what == "open":
                self.opened.append(edit["path"])
            self.rev += 1
            return None
        return self.change([edit], "canvas")

    def change(
        self, edits: Sequence[Edit], source: str, base: Document | None = None
    ) -> Problem | None:
        """Apply edits as one step; if the result is not sound, keep the graph and say why.

        Parameters
        ----------
        edits : sequence of mappings
        source : str
            ``canvas``, or the table the edits come from: that one need not be drawn anew.
        base : dict, optional
            Document the edits start from, if not the present one.
        """
        if not edits:
            return None
        start = self.document if base is None else base
        try:
            document = start
            for edit in edits:
                document = apply(document, edit)
            problem = checked(document)
        except PlannerError as error:
            self.refuse(str(error), source)
            return None
        self.past = [*self.past[-MOST_STEPS + 1 :], self.document]
        self.future = []
        self._replace(document, source)
        self.problem = problem or self.problem
        return problem

    def refuse(self, reason: str, source: str) -> None:
        """Say why an edit was not made; the canvas and its table go back to the graph."""
        self.refused, self.refused_in = _sentence(reason), source
        self.rev += 1
        if source == "canvas":
            self.sound = self.rev
        self._renew(keep=None)

    def undo(self) -> Problem | None:
        """Go back one step."""
        if not self.past:
            return None
        self.future.append(self.document)
        return self._restored(self.past.pop())

    def redo(self) -> Problem | None:
        """Make the step that was undone last."""
        if not self.future:
            return None
        self.past.append(self.document)
        return self._restored(self.future.pop())

    def _restored(self, document: Document) -> Problem | None:
        self._replace(document, "history")
        problem = checked(document)
        self.problem = problem or self.problem
        return problem

    def _replace(self, document: Document, source: str) -> None:
        self.document = document
        self.refused = self.refused_in = None
        grouped = self.grouping is not None and self.grouping[0] != WHOLE
        if source != "canvas" or grouped or len(document["operators"]) > MOST_SHOWN:
            self.rev += 1  # the canvas has not made this change itself, or shows groups of it
        self._renew(keep=source)

    def _renew(self, keep: str | None) -> None:
        """Let tables start from the present document, but not the one being typed in."""
        for name in list(self.bases):
            if name != keep:
                del self.bases[name]
                self.typed.pop(name, None)
                self.versions[name] = self.versions.get(name, 0) + 1

    def base(self, name: str) -> Document:
        """Document a table starts from; what is typed in it is a difference to that."""
        with self.lock:
            return self.bases.setdefault(name, self.document)

    def version(self, name: str) -> int:
        """Grows when a table must start anew."""
        return self.versions.get(name, 0)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
