"""What the command line prints: JSON for programs, tables for people; data on stdout only."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from db_migration import preflight


def print_json(data: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Print one JSON document."""
    sys.stdout.write(json.dumps(data, indent=2, default=str) + "\n")
    sys.stdout.flush()


def print_table(title: str, columns: list[str], lines: list[list[str]]) -> None:
    """Print a table."""
    """Print one JSON document."""
    table = RichTable(*columns, title=title, title_justify="left")
    for line in lines:
        table.add_row(*line)
    Console(markup=False).print(table)


def print_checks(name: str, checks: list[preflight.Check]) -> None:
    """Print a checklist, and the way out of what failed."""
    lines = [
        ["ok" if check.ok else "FAILED", check.id, check.found, check.needed] for check in checks
    ]
    print_table(name, ["", "check", "found", "needed"], lines)
    out = Console(markup=False, highlight=False)
    for check in checks:
        if not check.ok:
            out.print(f"{check.id}: {check.why}\n  hint: {check.way_out}")


def print_status(state: dict[str, Any]) -> None:
    """Print a line for each feed."""
    lines = [
        [
            feed["name"],
            feed["state"],
            _lag(feed["lag"]),
            _verified(feed["verified"]),
            f"{feed['working_database']['age_seconds']:.0f} s old"
            if feed["working_database"]
            else "not yet",
            feed["error"]["found"] if feed["error"] else feed["next"],
        ]
        for feed in state["feeds"]
    ]
    columns = ["feed", "state", "lag", "verified", "working database", "next"]
    print_table(f"{state['deployment']}{_epoch(state.get('epoch'))}", columns, lines)


def _epoch(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    who = f"database {found['database']}, Airbyte {found['airbyte']}"
    return f": epoch {found['epoch']} ({found['reason']}), {who}"


def _lag(lag: dict[str, float] | None) -> str:
    return f"{lag['bytes']:.0f} B, {lag['seconds']:.1f} s" if lag else "-"


def _verified(found: dict[str, Any] | None) -> str:
    if not found:
        return "not yet"
    how = "equal" if found["equal"] else "DIFFERS"
    return f"{how}: {found['tables']} tables, {found['rows']} rows, {found['at']}"


def print_results(results: list[dict[str, Any]]) -> None:
    """Print what a verification found."""
    out = Console(markup=False, highlight=False)
    for result in results:
        word = "equal" if result["equal"] else "DIFFERENT"
        size = f"{result['tables']} tables, {result['rows']} rows, {result['bytes']} bytes"
        out.print(f"{result['name']}: {word} ({size})", soft_wrap=True)
        for line in result["differences"]:
            out.print(f"  - {line}", soft_wrap=True)


def print_release(found: list[dict[str, Any]], dry_run: bool) -> None:
    """Print what was, or would be, undone."""
    out = Console(markup=False, highlight=False)
    for feed in found:
        head = "would be undone" if dry_run else "undone"
        out.print(f"{feed['name']}: {len(feed['traces'])} thing(s) {head} on the source")
        for trace in feed["traces"]:
            out.print(f"  - {trace['what']}: {trace['undo']}", soft_wrap=True)
        for left in feed["left"]:
            out.print(f"  still there: {left}", soft_wrap=True)
