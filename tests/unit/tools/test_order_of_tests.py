"""Which tests CI begins, when its time goes to an end."""

from __future__ import annotations

import time
from contextlib import nullcontext

import pytest

from tests.support import order


@pytest.mark.parametrize(
    ("until", "long", "skipped"),
    [
        (None, True, False),
        (60, True, False),
        (-1, True, True),
        (-1, False, False),
    ],
    ids=["no limit", "time left", "no time left", "not a long one"],
)
def test_only_a_long_one_is_left_out_and_only_without_time(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    until: float | None,
    *,
    long: bool,
    skipped: bool,
) -> None:
    item = request.node
    monkeypatch.delenv(order.LONG_UNTIL, raising=False)
    if until is not None:
        monkeypatch.setenv(order.LONG_UNTIL, str(time.time() + until))
    if long:
        item.add_marker(pytest.mark.long)
    left_out = pytest.raises(pytest.skip.Exception, match="make test-long")
    with left_out if skipped else nullcontext():
        order.pytest_runtest_setup(item)
