"""Compares what was with what is, and names each place that differs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

ABSENT = "absent"


def differences(before: Any, after: Any, path: str = "") -> list[str]:  # noqa: ANN401 - JSON
    """Name every place in which two JSON values differ; empty when they are equal."""
    return list(_differences(before, after, path))


def _differences(before: Any, after: Any, path: str) -> Iterator[str]:  # noqa: ANN401 - JSON
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            yield from _differences(
                before.get(key, ABSENT), after.get(key, ABSENT), f"{path}/{str(key).lstrip('/')}"
            )
    elif isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
        gone, new = set(before.splitlines()), set(after.splitlines())
        yield from (f"{path}: - {line}" for line in sorted(gone - new))
        yield from (f"{path}: + {line}" for line in sorted(new - gone))
    elif before != after:
        yield f"{path}: {before} -> {after}"
