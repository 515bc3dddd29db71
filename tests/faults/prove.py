"""Deliberate faults, each must turn the suite red: `python -m tests.faults.prove`.

Six break what the program is for; each of the others leaves out one measure against a trap of
Airbyte.

Exit codes: 0 every fault is seen, 1 one is not seen or can not be tried, 2 usage.
"""

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.faults.machinery import Fault, ProofError, Run, check_green, copy_of, prove
from tests.faults.measures import MEASURES
from tests.faults.six import FAULTS as SIX

FAULTS = (*SIX, *MEASURES)
ROOT = Path(__file__).resolve().parents[2]


def main(argv: list[str] | None = None) -> int:
    """Try the faults one at a time on a copy of the tree."""
    names = [f.name for f in FAULTS]
    parser = argparse.ArgumentParser(prog="prove", description=__doc__)
    parser.add_argument("--only", action="append", choices=names, help="only this fault")
    parser.add_argument("--list", action="store_true", help="print the faults and stop")
    options = parser.parse_args(argv)
    chosen = [f for f in FAULTS if not options.only or f.name in options.only]
    console = Console(highlight=False)
    if options.list:
        for fault in chosen:
            seen_by = " ".join(fault.selection)
            line = f"{fault.name}: {fault.harm}  [{fault.file}] seen by {seen_by}"
            console.print(line, markup=False, soft_wrap=True)
        return 0
    seen, errors = try_all(ROOT, chosen, console)
    console.print(_table(chosen, seen))
    for error in errors:
        console.print(f"error: {error}", markup=False, soft_wrap=True)
    return 1 if errors else 0


def try_all(
    tree: Path, faults: list[Fault], console: Console
) -> tuple[dict[str, Run], list[ProofError]]:
    """Try each fault; gives the red run of each that was seen, and what is wrong with the rest."""
    seen: dict[str, Run] = {}
    errors: list[ProofError] = []
    green: set[tuple[str, ...]] = set()

    def say(text: str) -> None:
        console.print(text, markup=False)

    with copy_of(tree) as copy:
        for fault in faults:
            say(f"- {fault.name}")
            try:
                if fault.selection not in green:
                    check_green(fault, copy, say)
                    green.add(fault.selection)
                seen[fault.name] = prove(fault, copy, say)
            except ProofError as error:
                errors.append(error)
    return seen, errors


def _table(faults: list[Fault], seen: dict[str, Run]) -> Table:
    table = Table(title="Deliberate faults", title_justify="left")
    for column in ("fault", "seen", "seconds", "by", "which says"):
        table.add_column(column)
    for fault in faults:
        run = seen.get(fault.name)
        if run is None:
            table.add_row(fault.name, "NO", "", "", "", style="bold red")
        else:
            took = f"{run.seconds:.0f}"
            table.add_row(fault.name, "yes", took, run.failed[0], escape(run.reason))
    return table


if __name__ == "__main__":
    sys.exit(main())
