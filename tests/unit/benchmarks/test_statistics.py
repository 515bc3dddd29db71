"""Order of runs, medians, ratios, percentiles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.statistics import interleaved, median, percentile, ratio, spread

VALUES = st.lists(st.floats(0.001, 1e6), min_size=1)


def test_every_round_has_every_method_and_another_first() -> None:
    assert interleaved("abc", 3) == [*"abc", *"bca", *"cab"]


@given(st.integers(0, 5), st.integers(0, 7))
def test_every_method_runs_as_often(methods: int, runs: int) -> None:
    names = list(range(methods))
    order = interleaved(names, runs)
    assert all(order.count(name) == runs for name in names)
    assert len(order) == methods * runs


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1), (0.01, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100)]
)
def test_percentile_of_a_hundred(share: float, value: float) -> None:
    assert percentile(list(range(100, 0, -1)), share) == value


@given(VALUES, st.floats(0, 1))
def test_percentile_is_one_of_the_values_and_covers_its_share(
    values: list[float], share: float
) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(1 for value in values if value <= found) >= share * len(values)


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 1.1), ([1.0], -0.1)])
def test_percentile_refuses(values: list[float], share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        percentile(values, share)


def test_median_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        median([])


def test_ratio_is_of_medians() -> None:
    times = {"ours": [1.0, 2.0, 90.0], "peer": [4.0, 3.0, 5.0], "absent": []}
    assert ratio(times, "ours", "peer") == 0.5
    assert ratio(times, "ours", "absent") is None
    assert ratio(times, "nobody", "peer") is None


def test_spread_is_a_share_of_the_median() -> None:
    assert spread([1.0, 2.0, 4.0]) == 1.5
