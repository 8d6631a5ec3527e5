"""Bounds that look at one unary resource at a time.

Importing this module imports numba.
"""

from __future__ import annotations

import heapq

import numpy as np
from numba import njit

from planner_core.bounds.bound import Bound
from planner_core.bounds.paths import Network
from planner_core.problem.graph import FloatArray


def load_bound(network: Network) -> Bound:
    """Earliest head + load + least tail, over the busiest resource."""
    rows = network.resource >= 0
    resource = network.resource[rows]
    count = int(resource.max(initial=-1)) + 1
    head, tail = np.full(count, np.inf), np.full(count, np.inf)
    np.minimum.at(head, resource, network.head[rows])
    np.minimum.at(tail, resource, network.tail[rows])
    load = np.bincount(resource, weights=network.duration[rows], minlength=count)
    used = np.isfinite(head)
    return Bound(float(np.max((head + load + tail)[used], initial=0.0)), "device load bound")


def one_machine_bound(network: Network) -> Bound:
    """Jackson's preemptive bound of the worst resource (Jackson 1955; Carlier 1982)."""
    rows = np.flatnonzero(network.resource >= 0)
    rows = rows[np.lexsort((network.head[rows], network.resource[rows]))]
    cuts = np.flatnonzero(np.diff(network.resource[rows])) + 1
    value = 0.0
    for part in np.split(rows, cuts):
        value = max(value, jackson(network.head[part], network.duration[part], network.tail[part]))
    return Bound(value, "one-machine preemptive bound")


@njit(nogil=True, cache=True)
def jackson(head: FloatArray, duration: FloatArray, tail: FloatArray) -> float:
    """Makespan of the preemptive schedule that always runs the longest tail; heads ascending."""
    n = len(head)
    left = duration.copy()
    ready = [(0.0, 0)]
    ready.clear()
    time, best, i = 0.0, 0.0, 0
    while i < n or len(ready) > 0:
        if len(ready) == 0:
            time = max(time, head[i])
        while i < n and head[i] <= time:
            heapq.heappush(ready, (-tail[i], i))
            i += 1
        job = ready[0][1]
        if i < n and time + left[job] > head[i]:
            left[job] -= head[i] - time
            time = head[i]
        else:
            time += left[job]
            best = max(best, time + tail[job])
            heapq.heappop(ready)
    return best
