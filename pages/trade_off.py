"""Sweep a limit or a setting and see what it does to the objective, beside expert schedules."""

from __future__ import annotations

import streamlit as st

from pages.components.settings import choose_problem
from pages.components.setup import setup
from pages.components.sweep import running_sweep
from pages.components.sweep_controls import chosen_problem, controls
from pages.components.sweep_figure import figure

setup()

with st.container(border=True):
    key = choose_problem()
    problem = chosen_problem(key)
    axis, options = controls(problem, key)
sweep = running_sweep()
if sweep is not None and not sweep.is_of(problem, axis, options):
    sweep = None
figure(problem, axis, sweep)
