"""The graph editor: a canvas and tables that edit the same problem."""

from pages.components.editor.draw import draw_editor

__all__ = ["draw_editor"]
