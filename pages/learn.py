"""A guided tour of pipeline parallelism, from one device to the optimal plan."""

from pages.components.lessons.tour import tour
from pages.components.setup import setup

setup()
tour()
