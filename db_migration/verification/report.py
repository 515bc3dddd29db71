"""What the command line prints: JSON for programs, tables for people; data on stdout only."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from db_migration.preflight.checklist import Check, Result, counted

MOST_NAMES = 5
"""Of many things that are undone in the same way."""


def print_json(data: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Print one JSON document."""
    sys.stdout.write(json.dumps(data, indent=2, default=_plain) + "\n")
    sys.stdout.flush()


def print_json_line(data: Any) -> None:  # noqa: ANN401
    """Print one JSON document in one line."""
    sys.stdout.write(json.dumps(data, default=_plain) + "\n")
    sys.stdout.flush()


def _plain(value: object) -> str:
    """Write what JSON has no form for; a time as ISO 8601, which every reader of times takes."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def print_table(title: str, columns: list[str], lines: list[list[str]]) -> None:
    """Print a table."""
    table = RichTable(*columns, title=title, title_justify="left")
    for line in lines:
        table.add_row(*line)
    Console(markup=False).print(table)


MARKS = {
    Result.PASS: "ok",
    Result.WARNING: "WARNING",
    Result.FAIL: "FAILED",
    Result.NOT_APPLICABLE: "-",
}


def print_checks(name: str, checks: list[Check]) -> None:
    """Print a checklist, and the way out of what failed or endangers."""
    out = Console(markup=False, highlight=False, soft_wrap=True)
    for check in checks:
        out.print(f"{MARKS[check.result]:7} {check.id}: {check.title}: {check.found}")
    for check in checks:
        if check.result not in {Result.FAIL, Result.WARNING}:
            continue
        mark = MARKS[check.result]
        out.print(f"{mark} {check.id}: needed: {check.needed}\n  because {check.why}")
        out.print(f"  hint: {check.way_out}")
        for line in check.affected:
            out.print(f"  - {', '.join(text for text in line.values() if text)}")
    counts = ", ".join(f"{number} {word}" for word, number in counted(checks).items() if number)
    out.print(f"{name}: {counts}")


def print_results(results: list[dict[str, Any]]) -> None:
    """Print what a verification found: each difference, then the rows with their values; of a feed
    that was left out, why.
    """
    out = Console(markup=False, highlight=False)
    for result in results:
        if "equal" not in result:
            why = result.get("skipped") or f"not compared: {result['error']['found']}"
            out.print(f"{result['name']}: {why}", soft_wrap=True)
            continue
        word = "equal" if result["equal"] else "DIFFERENT"
        size = f"{result['tables']} tables, {result['rows']} rows, {result['bytes']} bytes"
        out.print(f"{result['name']}: {word}, {result['strength']} ({size})", soft_wrap=True)
        if pause := result["pause"]:
            out.print(
                f"  at {pause['lsn']}: all tables locked for {pause['held_ms']} ms, no writer "
                f"waited longer than {pause['worst_wait_ms']} ms, attempt {pause['attempts']}",
                soft_wrap=True,
            )
        for line in result["differences"]:
            out.print(f"  - {line}", soft_wrap=True)
        _print_rows(out, result["different_rows"])


def _print_rows(out: Console, found: list[dict[str, Any]]) -> None:
    """Print both values of each difference; NULL without quotes, text with them."""
    for row in found:
        where = f"{row['table']} {row['key']}"
        if row["column"] is None:
            out.print(f"  {where}: {row['what']}", soft_wrap=True)
            continue
        source, mirror = (_quoted(row[side]) for side in ("source", "mirror"))
        out.print(f"  {where} {row['column']}: source {source}, mirror {mirror}", soft_wrap=True)


def _quoted(text: str | None) -> str:
    return "NULL" if text is None else repr(text)


def print_release(found: list[dict[str, Any]], dry_run: bool) -> None:
    """Print what was, or would be, undone."""
    out = Console(markup=False, highlight=False)
    for feed in found:
        head = "would be undone" if dry_run else "undone"
        out.print(f"{feed['name']}: {len(feed['traces'])} thing(s) {head} on the source")
        _print_traces(out, feed["traces"])
        for left in feed["left"]:
            out.print(f"  still there: {left}", soft_wrap=True)
        if feed["host"]:
            out.print("  on its host, declared by Pulumi and left to it:")
            _print_traces(out, feed["host"])


def _print_traces(out: Console, traces: list[dict[str, Any]]) -> None:
    """Print a line for each, but one for many of a kind that are undone in the same way."""
    kinds: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for trace in traces:
        kinds.setdefault((trace["what"].partition("`")[0], trace["undo"]), []).append(trace)
    for (kind, undo), alike in kinds.items():
        names = [trace["what"].removeprefix(kind) for trace in alike]
        for what in names if len(names) <= MOST_NAMES else [_few(names)]:
            out.print(f"  - {kind}{what}: {undo}", soft_wrap=True)
        parts: dict[str, list[str]] = {}
        for part in (part for trace in alike for part in trace["parts"]):
            parts.setdefault(part["right"], []).append(part["on"])
        for right, found in parts.items():
            out.print(f"      {right}: {_few(found)}", soft_wrap=True)


def _few(names: list[str]) -> str:
    """Name some of many; `--json` names them all."""
    if len(names) <= MOST_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[:MOST_NAMES])} and {len(names) - MOST_NAMES} more ({len(names)})"
