"""A problem: graph + cluster + micro-batches + objective."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from planner_core.problem.cluster import Cluster
from planner_core.problem.graph import FloatArray, Graph
from planner_core.problem.objective import Objective

RELATIVE_TOLERANCE = 1e-9
"""Times compare equal within this share of the makespan; sizes within this share of the limit."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Problem:
    """What is to be planned.

    Parameters
    ----------
    template : Graph
        The operators as given; repeated per micro-batch if ``micro_batches`` > 1.
    cluster : Cluster
    micro_batches : int
        How often the template is repeated (1 = the template lists everything itself).
    objective : Objective
    name, time_unit, memory_unit : str
    """

    template: Graph
    cluster: Cluster
    micro_batches: int = 1
    objective: Objective = field(default_factory=Objective)
    name: str = "problem"
    time_unit: str = "ms"
    memory_unit: str = "MiB"

    @cached_property
    def graph(self) -> Graph:
        """The operators to schedule.

        The template unrolled over micro-batches; for the objective ``period`` the template
        itself, because a plan for the steady state stands for one micro-batch.
        """
        if self.objective.primary == "period":
            return self.template
        return self.template.repeat(self.micro_batches)

    @property
    def n_devices(self) -> int:
        """Number of devices."""
        return self.cluster.n_devices

    @cached_property
    def durations(self) -> FloatArray:
        """Duration of each operator on each device, shape (n, K); inf where it may not run.

        A duration given as one number is divided by the device's speed; durations given per
        type are looked up. The array may be a read-only broadcast view.
        """
        graph, cluster = self.graph, self.cluster
        n, k = graph.n_operators, cluster.n_devices
        uniform = bool(np.all(cluster.speed == cluster.speed[0])) and not len(graph.type_names)
        if uniform and not np.any(graph.device_set >= 0):
            column = (graph.duration / cluster.speed[0])[:, None]
            return np.broadcast_to(column, (n, k))
        table = graph.duration[:, None] / cluster.speed[None, :]
        by_type = np.isnan(graph.duration)
        column_of = {name: j for j, name in enumerate(graph.type_names)}
        for device, device_type in enumerate(cluster.device_types):
            j = column_of.get(device_type) if device_type is not None else None
            table[by_type, device] = np.nan if j is None else graph.duration_by_type[by_type, j]
        table[np.isnan(table)] = np.inf
        sets = np.ones((len(graph.device_sets) + 1, k), dtype=bool)
        for s, names in enumerate(graph.device_sets):
            sets[s] = [name in names for name in cluster.device_ids]
        table[~sets[graph.device_set]] = np.inf  # −1 (any device) reads the last, all-true row
        return table

    @cached_property
    def fixed_device(self) -> np.ndarray:
        """Device of each operator that has only one; −1 elsewhere; int32, shape (n,)."""
        allowed = np.isfinite(self.durations)
        return np.where(allowed.sum(axis=1) == 1, allowed.argmax(axis=1), -1).astype(np.int32)

    @property
    def is_placed(self) -> bool:
        """Whether every operator has exactly one allowed device."""
        return bool(np.all(self.fixed_device >= 0))

    def transfer_time(self, tensor: int, source: int, target: int) -> float:
        """Time a tensor takes from one device to another; inf where there is no link, 0 at home."""
        if source == target:
            return 0.0
        cluster = self.cluster
        if not cluster.has_link[source, target]:
            return float("inf")
        fixed = self.graph.transfer[tensor]
        if not np.isnan(fixed):
            return float(fixed)
        size = self.graph.size[tensor]
        # 0 / inf and size / inf are both 0: an infinite bandwidth costs latency only.
        return float(cluster.latency[source, target] + size / cluster.bandwidth[source, target])

    def transfer_times(
        self, tensor: np.ndarray, source: np.ndarray, target: np.ndarray
    ) -> FloatArray:
        """Return :meth:`transfer_time` of many transfers at once; int arrays of one shape (x,)."""
        cluster = self.cluster
        fixed = self.graph.transfer[tensor]
        own = cluster.latency[source, target]
        own = own + self.graph.size[tensor] / cluster.bandwidth[source, target]
        times = np.where(np.isnan(fixed), own, fixed)
        times = np.where(cluster.has_link[source, target], times, np.inf)
        return np.where(np.asarray(source) == target, 0.0, times)

    def with_placement(self, device: np.ndarray) -> Problem:
        """Return the same problem with every operator allowed on one device only.

        Parameters
        ----------
        device : int array, shape (n,)
            Device number of every operator of :attr:`graph`.
        """
        graph = replace(
            self.graph,
            device_set=np.asarray(device, dtype=np.int32),
            device_sets=tuple((name,) for name in self.cluster.device_ids),
        )
        return replace(self, template=graph, micro_batches=1)

    def with_memory(self, memory: float | np.ndarray) -> Problem:
        """Return the same problem with another memory limit (one for all devices, or one each)."""
        limits = np.broadcast_to(np.asarray(memory, dtype=float), (self.n_devices,)).copy()
        return replace(self, cluster=replace(self.cluster, memory=limits))
