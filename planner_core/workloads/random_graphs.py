"""Layered random graphs, from a seed; a million operators in a few seconds."""

from __future__ import annotations

import numpy as np

from planner_core.problem import Cluster, Graph, InputError, Problem, check_problem
from planner_core.problem.graph import KIND_CODE
from planner_core.problem.limits import MAX_OPERATORS


def random_layered(
    operators: int,
    cluster: Cluster | int = 2,
    *,
    seed: int,
    layers: int | None = None,
    degree: float = 2.0,
    duration: tuple[float, float] = (1.0, 10.0),
    size: tuple[float, float] = (0.0, 5.0),
    weight: tuple[float, float] = (0.0, 0.0),
    reach: int = 1,
    kind: str = "other",
) -> Problem:
    """Return a random acyclic graph whose edges go from a layer to one of the next.

    Every operator outside the first layer has a producer in the layer before; about
    ``degree`` − 1 more come from up to ``reach`` layers back. Each operator produces one tensor
    that all its consumers share.

    Parameters
    ----------
    operators : int
    cluster : Cluster or int
        A number stands for that many like devices with links of bandwidth 1 and latency 0.
    seed : int
        The same seed gives the same graph.
    layers : int, optional
        Default about the square root of ``operators``.
    degree : float
        Mean number of producers.
    duration, size, weight : (low, high)
        Uniform; whole numbers are not special. A ``weight`` gives every operator a parameter
        group of its own.
    reach : int
    kind : str
        Kind of all operators ("forward" for a graph to be trained).

    Raises
    ------
    InputError
        If a number is out of range.
    """
    layers = max(1, round(operators**0.5)) if layers is None else layers
    _check(operators, layers, degree, reach, kind)
    for label, (low, high) in (("duration", duration), ("size", size), ("weight", weight)):
        if not 0 <= low <= high < np.inf:
            raise InputError(f"{label} runs from {low:g} to {high:g}; use 0 ≤ low ≤ high")
    random = np.random.default_rng(seed)
    # Every layer gets one operator, the others fall anywhere.
    layer = np.sort(
        np.concatenate([np.arange(layers), random.integers(0, layers, operators - layers)])
    )
    producer, consumer = _edges(random, layer, layers, degree, reach)
    heads, first = np.unique(producer, return_index=True)
    ends = np.append(first[1:], len(producer))
    ids = np.array([f"o{i}" for i in range(operators)], dtype=object)
    has_weight = weight[1] > 0
    n_tensors, groups = len(heads), operators if has_weight else 0
    graph = Graph(
        operator_ids=ids,
        kind=np.full(operators, KIND_CODE[kind], dtype=np.int8),
        duration=random.uniform(*duration, operators),
        type_names=(),
        duration_by_type=np.empty((operators, 0)),
        stream=np.zeros(operators, dtype=np.int16),
        stream_names=("compute",),
        stage=np.full(operators, -1, dtype=np.int32),
        micro_batch=np.full(operators, -1, dtype=np.int32),
        workspace=np.zeros(operators),
        colocation=np.full(operators, -1, dtype=np.int32),
        colocation_names=(),
        device_set=np.full(operators, -1, dtype=np.int32),
        device_sets=(),
        parameter_ptr=np.arange(operators + 1, dtype=np.int64) * has_weight,
        parameter_index=np.arange(groups, dtype=np.int32),
        tensor_ids=np.array([f"t{i}" for i in heads.tolist()], dtype=object),
        producer=heads.astype(np.int32),
        size=random.uniform(*size, n_tensors),
        transfer=np.full(n_tensors, np.nan),
        is_output=np.zeros(n_tensors, dtype=bool),
        consumer_ptr=np.append(first, ends[-1:]).astype(np.int64)
        if n_tensors
        else np.zeros(1, dtype=np.int64),
        consumer=consumer.astype(np.int32),
        group_ids=np.array([f"w{i}" for i in range(groups)], dtype=object),
        group_size=random.uniform(*weight, groups),
    )
    problem = Problem(
        template=graph,
        cluster=Cluster.uniform(cluster, bandwidth=1.0) if isinstance(cluster, int) else cluster,
        name=f"random, {operators} operators, {layers} layers, seed {seed}",
    )
    check_problem(problem)
    return problem


def _check(operators: int, layers: int, degree: float, reach: int, kind: str) -> None:
    """Refuse numbers out of range, before anything of that size is made."""
    if not 1 <= operators <= MAX_OPERATORS:
        raise InputError(f"operators is {operators}; it must lie between 1 and {MAX_OPERATORS}")
    if not 1 <= layers <= operators:
        raise InputError(f"layers is {layers}; it must lie between 1 and operators ({operators})")
    if not (np.isfinite(degree) and degree >= 1) or reach < 1:
        raise InputError("degree and reach must be 1 or more")
    if kind not in KIND_CODE:
        raise InputError(f"kind is '{kind}'; it must be one of {', '.join(KIND_CODE)}")


def _edges(
    random: np.random.Generator, layer: np.ndarray, layers: int, degree: float, reach: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return distinct (producer, consumer) pairs sorted by producer."""
    start = np.searchsorted(layer, np.arange(layers + 1))
    fed = np.arange(start[1], len(layer))
    more = np.repeat(fed, random.poisson(degree - 1.0, len(fed)))
    consumer = np.concatenate([fed, more])
    back = np.concatenate(
        [np.ones(len(fed), dtype=np.int64), random.integers(1, reach + 1, len(more))]
    )
    source_layer = np.maximum(layer[consumer] - back, 0)
    low, high = start[source_layer], start[source_layer + 1]
    producer = low + (random.random(len(consumer)) * (high - low)).astype(np.int64)
    pairs = np.unique(producer * len(layer) + consumer)
    return pairs // len(layer), pairs % len(layer)
