"""The guided tour through pipeline parallelism."""

from pages.components.lessons.bidirectional import DUALPIPE
from pages.components.lessons.by_hand import BY_HAND
from pages.components.lessons.classic import INTERLEAVED, ONE_BY_ONE
from pages.components.lessons.first_steps import GPIPE, ONE_DEVICE, SPLIT
from pages.components.lessons.model import Lesson
from pages.components.lessons.optimum import OPTIMUM
from pages.components.lessons.zero_bubble import SPLIT_BACKWARD, V

LESSONS: tuple[Lesson, ...] = (
    ONE_DEVICE,
    SPLIT,
    GPIPE,
    ONE_BY_ONE,
    INTERLEAVED,
    SPLIT_BACKWARD,
    V,
    DUALPIPE,
    OPTIMUM,
    BY_HAND,
)
"""In the order of the tour."""
