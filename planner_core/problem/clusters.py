"""Clusters from presets: unlike devices, nodes joined by a network, rings, two levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from planner_core.problem.build import build_cluster
from planner_core.problem.cluster import Cluster
from planner_core.problem.errors import InputError
from planner_core.problem.hardware import (
    LINK_EFFICIENCY,
    MIB,
    DeviceType,
    LinkType,
    device_type,
    link_type,
)
from planner_core.problem.limits import check_counts

Device = str | DeviceType
Link = str | LinkType


def mixed(
    devices: Mapping[str, int] | Sequence[Device],
    link: Link = "NVLink 4",
    *,
    memory: float | None = None,
    exclusive: bool = False,
    efficiency: float = LINK_EFFICIENCY,
) -> Cluster:
    """Return devices of one or several types, every pair joined by the same link.

    Parameters
    ----------
    devices : mapping of type to count, or sequence of types
    link : str or LinkType
    memory : float, optional
        MiB per device in place of the presets' memory.
    exclusive : bool
        Whether transfers on a link exclude each other.
    efficiency : float
        Share of the link's peak bandwidth.

    Returns
    -------
    Cluster
        Memory in MiB, latency in ms, bandwidth in MiB per ms; devices ``gpu0``, ``gpu1``, ….

    Raises
    ------
    InputError
        If a preset does not exist or there is no device.
    """
    types = _types(devices)
    return build_cluster(_devices(types, memory), {"default": _link(link, exclusive, efficiency)})


def homogeneous(
    count: int,
    device: Device = "H100",
    link: Link = "NVLink 4",
    *,
    memory: float | None = None,
    exclusive: bool = False,
    efficiency: float = LINK_EFFICIENCY,
) -> Cluster:
    """Return ``count`` like devices, every pair joined by the same link; see :func:`mixed`."""
    return mixed([device] * count, link, memory=memory, exclusive=exclusive, efficiency=efficiency)


def ring(
    count: int,
    device: Device = "H100",
    link: Link = "NVLink 4",
    *,
    memory: float | None = None,
    one_way: bool = False,
    exclusive: bool = True,
    efficiency: float = LINK_EFFICIENCY,
) -> Cluster:
    """Return devices that are joined to their two neighbours only (one if ``one_way``).

    A tensor does not travel over several links: devices that are not neighbours cannot exchange
    one directly. See :func:`mixed` for the other parameters.
    """
    devices = _devices([device] * _count(count), memory)
    row = _link(link, exclusive, efficiency)
    links = ring_links([spec["id"] for spec in devices], row, one_way=one_way)
    return build_cluster(devices, links)


def two_level(
    groups: Sequence[Sequence[Device]],
    inner: Link = "NVLink 4",
    outer: Link = "InfiniBand NDR",
    *,
    memory: float | None = None,
    exclusive: bool = False,
    exclusive_outer: bool | None = None,
    efficiency: float = LINK_EFFICIENCY,
) -> Cluster:
    """Return groups of devices: one kind of link inside a group, another across groups.

    Parameters
    ----------
    groups : sequence of sequences of device types
    inner, outer : str or LinkType
    memory : float, optional
        MiB per device in place of the presets' memory.
    exclusive : bool
        Whether transfers on a link exclude each other.
    exclusive_outer : bool, optional
        The same for links across groups; default as ``exclusive``.
    efficiency : float
        Share of the links' peak bandwidth.

    Returns
    -------
    Cluster
        As of :func:`mixed`; devices are numbered through the groups.
    """
    devices = _devices([device for group in groups for device in group], memory)
    group_of = [g for g, group in enumerate(groups) for _ in group]
    inside = _link(inner, exclusive, efficiency)
    across = _link(outer, exclusive if exclusive_outer is None else exclusive_outer, efficiency)
    links = group_links([spec["id"] for spec in devices], group_of, inside, across)
    return build_cluster(devices, links)


def nodes(
    count: int,
    per_node: int = 8,
    device: Device = "H100",
    inner: Link = "NVLink 4",
    outer: Link = "InfiniBand NDR",
    *,
    memory: float | None = None,
    exclusive: bool = False,
    exclusive_outer: bool | None = None,
    efficiency: float = LINK_EFFICIENCY,
) -> Cluster:
    """Return ``count`` nodes of ``per_node`` like devices; see :func:`two_level`."""
    return two_level(
        [[device] * _count(per_node)] * _count(count),
        inner,
        outer,
        memory=memory,
        exclusive=exclusive,
        exclusive_outer=exclusive_outer,
        efficiency=efficiency,
    )


def ring_links(
    devices: Sequence[str], link: Mapping[str, Any], *, one_way: bool = False
) -> list[dict[str, Any]]:
    """Return records of links from every device to its neighbours in a ring.

    Parameters
    ----------
    devices : sequence of str
        Ids, in the order of the ring.
    link : mapping
        ``latency``, ``bandwidth`` and ``exclusive`` as in the file.
    one_way : bool
        Only to the next device, not to the one before.
    """
    count, steps = len(devices), (1,) if one_way else (1, -1)
    pairs = dict.fromkeys(
        (k, (k + step) % count) for k in range(count) for step in steps if count > 1
    )
    return [{"source": devices[a], "target": devices[b], **link} for a, b in pairs]


def group_links(
    devices: Sequence[str],
    group_of: Sequence[int],
    inner: Mapping[str, Any],
    outer: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Return records of links between all devices: ``inner`` within a group, ``outer`` across."""
    return [
        {"source": a, "target": b, **(inner if group_of[i] == group_of[j] else outer)}
        for i, a in enumerate(devices)
        for j, b in enumerate(devices)
        if i != j
    ]


def _types(devices: Mapping[str, int] | Sequence[Device]) -> list[Device]:
    if isinstance(devices, Mapping):
        return [name for name, count in devices.items() for _ in range(_count(count))]
    return list(devices)


def _count(count: int) -> int:
    if count < 1:
        raise InputError(f"a cluster of {count} devices is asked for; ask for 1 or more")
    return count


def _devices(types: Sequence[Device], memory: float | None) -> list[dict]:
    check_counts(_count(len(types)), 0)
    return [
        {
            "id": f"gpu{k}",
            "type": device_type(spec).name,
            "memory": device_type(spec).memory / MIB if memory is None else memory,
        }
        for k, spec in enumerate(types)
    ]


def _link(link: Link, exclusive: bool, efficiency: float) -> dict:
    if not 0 < efficiency <= 1:
        raise InputError(f"efficiency is {efficiency:g}; it is a share, above 0 and at most 1")
    spec = link_type(link)
    return {
        "latency": 1e3 * spec.latency,
        "bandwidth": spec.bandwidth * efficiency / MIB / 1e3,
        "exclusive": exclusive,
    }
