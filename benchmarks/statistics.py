"""Medians, ratios and percentiles, and the order of runs. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


def interleaved(methods: Sequence[T], runs: int) -> list[T]:
    """Return every method once a round, each round begun by another: no method has the best place.

    A load that comes and goes, or a disk that warms up, meets all of them alike.
    """
    order: list[T] = []
    for number in range(runs):
        start = number % len(methods) if methods else 0
        order += [*methods[start:], *methods[:start]]
    return order


def median(values: Sequence[float]) -> float:
    """Return the median; raises ValueError of no values."""
    if not values:
        msg = "no values"
        raise ValueError(msg)
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` (0 to 1) of the values do not exceed."""
    if not values or not 0 <= share <= 1:
        msg = f"{len(values)} values, share {share}"
        raise ValueError(msg)
    ordered = sorted(values)
    place = -int(-share * len(ordered) // 1)  # rounded up
    return ordered[max(place - 1, 0)]


def ratio(times: Mapping[str, Sequence[float]], one: str, other: str) -> float | None:
    """Return the median of `one` over that of `other`; None where one of them was not run."""
    if not times.get(one) or not times.get(other):
        return None
    return median(times[one]) / median(times[other])


def pairs(values: Mapping[str, Sequence[float]], one: str, other: str) -> list[float]:
    """Return the ratio of each pair of `one` and `other`, measured one after the other."""
    return [a / b for a, b in zip(values.get(one, ()), values.get(other, ()), strict=True)]


def spread(values: Sequence[float]) -> float:
    """Return how far the values lie apart, as a share of their median."""
    return (max(values) - min(values)) / median(values)
