"""The cluster: devices and the links between them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from planner_core.problem.graph import FloatArray


@dataclass(frozen=True, eq=False, kw_only=True)
class Cluster:
    """K devices and the links between them.

    Parameters
    ----------
    device_ids : tuple of str
    device_types : tuple of (str or None)
    memory : float array, shape (K,)
        Limit per device in the problem's memory unit; inf = unlimited.
    speed : float array, shape (K,)
        Durations given as one number are divided by it.
    host : bool array, shape (K,)
        Devices that pay nothing for staged transfers.
    latency : float array, shape (K, K)
        Row = source, column = target; inf where there is no link; diagonal 0.
    bandwidth : float array, shape (K, K)
        Memory units per time unit; inf = infinite.
    exclusive : bool array, shape (K, K)
        True where transfers on the link exclude each other.
    staged : bool
        Transfers travel through host memory and occupy the compute streams of both ends.
    """

    device_ids: tuple[str, ...]
    device_types: tuple[str | None, ...]
    memory: FloatArray
    speed: FloatArray
    host: NDArray[np.bool_]
    latency: FloatArray
    bandwidth: FloatArray
    exclusive: NDArray[np.bool_]
    staged: bool = False

    @property
    def n_devices(self) -> int:
        """Number of devices."""
        return len(self.device_ids)

    @cached_property
    def device_index(self) -> dict[str, int]:
        """Number of each device by id."""
        return {name: k for k, name in enumerate(self.device_ids)}

    @cached_property
    def has_link(self) -> NDArray[np.bool_]:
        """Whether a tensor can go from row to column; shape (K, K)."""
        return np.isfinite(self.latency)

    @classmethod
    def uniform(
        cls,
        count: int,
        *,
        memory: float = np.inf,
        speed: float = 1.0,
        latency: float = 0.0,
        bandwidth: float = np.inf,
        exclusive: bool = False,
        prefix: str = "gpu",
        device_type: str | None = None,
    ) -> Cluster:
        """Return ``count`` like devices, every pair joined by the same link."""
        shape = (count, count)
        off_diagonal = ~np.eye(count, dtype=bool)
        return cls(
            device_ids=tuple(f"{prefix}{k}" for k in range(count)),
            device_types=(device_type,) * count,
            memory=np.full(count, float(memory)),
            speed=np.full(count, float(speed)),
            host=np.zeros(count, dtype=bool),
            latency=np.where(off_diagonal, float(latency), 0.0),
            bandwidth=np.where(off_diagonal, float(bandwidth), np.inf),
            exclusive=np.full(shape, exclusive) & off_diagonal,
        )
