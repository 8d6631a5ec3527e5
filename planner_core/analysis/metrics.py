"""Figures of a schedule: three definitions of bubbles, utilisation, balance, throughput, memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner_core.problem import Problem
from planner_core.problem.graph import FloatArray
from planner_core.schedule import (
    Schedule,
    device_use,
    micro_batch_count,
    period,
    transfer_volume,
)


@dataclass(frozen=True)
class DeviceMetrics:
    """Figures of one device; times in the time unit, memory in the memory unit."""

    id: str
    busy: float
    """Busy time of its busiest stream, staged copies included."""
    idle: float
    """Makespan − busy."""
    idle_share: float
    """1 − busy / makespan."""
    window: float
    """Last finish − first start on the device; 0 if nothing runs there."""
    window_share: float
    """1 − busy / window; 0 if nothing runs there."""
    peak_memory: float
    memory: float
    """Limit; inf = unlimited."""

    @property
    def utilisation(self) -> float:
        """Busy / makespan."""
        return 1.0 - self.idle_share


@dataclass(frozen=True)
class Metrics:
    """Figures of a whole schedule.

    Parameters
    ----------
    makespan : float
    period : float
        Busiest stream's busy time per micro-batch.
    throughput : float
        Micro-batches per time unit: micro-batches / makespan; for the objective ``period``,
        1 / period. Infinite if nothing takes time.
    idle_share : float
        1 − Σ busy / (devices × makespan). What "bubbles" means here unless said otherwise.
    window_share : float
        1 − busy / (last finish − first start) of the device with the longest window: the
        "bubble rate" of Qi et al. 2024, "Zero Bubble Pipeline Parallelism".
    textbook_rate : float
        (makespan − ideal) / ideal, where ideal is the busiest device's work: (p−1)/m for 1F1B.
    textbook_rate_of_makespan : float
        (makespan − ideal) / makespan, as some write it: (p−1)/(m+p−1) for 1F1B.
    balance : float
        Mean busy time / largest busy time: 1 if all devices work equally long.
    peak_memory : float
        On the device where it is largest.
    transfer_volume : float
        Memory moved between devices.
    devices : tuple of DeviceMetrics
    """

    makespan: float
    period: float
    throughput: float
    idle_share: float
    window_share: float
    textbook_rate: float
    textbook_rate_of_makespan: float
    balance: float
    peak_memory: float
    transfer_volume: float
    devices: tuple[DeviceMetrics, ...]

    @property
    def utilisation(self) -> float:
        """Σ busy / (devices × makespan)."""
        return 1.0 - self.idle_share


def metrics(problem: Problem, schedule: Schedule) -> Metrics:
    """Return the figures of a schedule.

    Parameters
    ----------
    problem : Problem
    schedule : Schedule
        Of ``problem.graph``.

    Returns
    -------
    Metrics
    """
    makespan = schedule.makespan
    windows = _windows(problem, schedule)
    devices = tuple(
        DeviceMetrics(
            id=use.id,
            busy=use.busy,
            idle=use.idle,
            idle_share=_share_left(use.busy, makespan),
            window=window,
            window_share=_share_left(use.busy, window),
            peak_memory=use.peak_memory,
            memory=use.memory,
        )
        for use, window in zip(device_use(problem, schedule), windows.tolist(), strict=True)
    )
    busy = np.array([device.busy for device in devices])
    ideal = float(busy.max())
    longest = max(devices, key=lambda device: device.window)
    per_micro_batch = period(problem, schedule)
    steady = problem.objective.primary == "period"
    time, count = (per_micro_batch, 1) if steady else (makespan, micro_batch_count(problem))
    return Metrics(
        makespan=makespan,
        period=per_micro_batch,
        throughput=count / time if time > 0 else float("inf"),
        idle_share=_share_left(float(busy.sum()), problem.n_devices * makespan),
        window_share=longest.window_share,
        textbook_rate=(makespan - ideal) / ideal if ideal > 0 else 0.0,
        textbook_rate_of_makespan=_share_left(ideal, makespan),
        balance=float(busy.mean()) / ideal if ideal > 0 else 1.0,
        peak_memory=max(device.peak_memory for device in devices),
        transfer_volume=transfer_volume(problem, schedule),
        devices=devices,
    )


def _share_left(part: float, whole: float) -> float:
    return 1.0 - part / whole if whole > 0 else 0.0


def _windows(problem: Problem, schedule: Schedule) -> FloatArray:
    """Time from the first start to the last finish on each device; shape (K,)."""
    first = np.full(problem.n_devices, np.inf)
    last = np.full(problem.n_devices, -np.inf)
    np.minimum.at(first, schedule.device, schedule.start)
    np.maximum.at(last, schedule.device, schedule.finish)
    if problem.cluster.staged:
        rows = schedule.transfers
        # Copying out follows the producer and copying in comes before the consumer on the same
        # device, so only a last copy out or a first copy in can widen the window.
        for t, a, b, start, finish in zip(
            rows.tensor.tolist(), rows.source, rows.target, rows.start, rows.finish, strict=True
        ):
            time = problem.transfer_time(t, int(a), int(b))
            if not problem.cluster.host[a]:
                last[a] = max(last[a], start + time)
            if not problem.cluster.host[b]:
                first[b] = min(first[b], finish - time)
    return np.where(np.isfinite(first), last - first, 0.0)
