"""Reads the preview that decides whether a promotion stands. No I/O."""

from collections import Counter
from dataclasses import dataclass

from rich.table import Table

from stages.stagectl.state import Json

# All that a promotion permits: what was there stays the same object, what is new may come.
HARMLESS = frozenset({"same", "create", "update", "read", "refresh"})
# The engine tells one replacement in up to three steps.
REPLACING = frozenset({"replace", "create-replacement", "delete-replaced"})


@dataclass(frozen=True)
class Change:
    """One step of a preview that is not `same`."""

    op: str
    type: str
    name: str
    reasons: tuple[str, ...]

    @property
    def violates(self) -> bool:
        """Whether this would replace or delete something."""
        return self.op not in HARMLESS


@dataclass(frozen=True)
class Preview:
    """What `pulumi up` would do."""

    stack: str
    changes: tuple[Change, ...]
    unchanged: int

    @property
    def counts(self) -> dict[str, int]:
        """How many resources each operation meets, in the order of the preview."""
        return dict(Counter(c.op for c in self.changes))

    @property
    def violations(self) -> tuple[Change, ...]:
        """The changes that a promotion must not bring."""
        return tuple(c for c in self.changes if c.violates)

    def as_json(self) -> Json:
        """Give the form for --json and the journal: names and keys, never values."""
        return {
            "unchanged": self.unchanged,
            "changes": [
                {"op": c.op, "type": c.type, "name": c.name, "reasons": list(c.reasons)}
                for c in self.changes
            ],
            "violations": len(self.violations),
        }

    def as_table(self) -> Table:
        """Give the form for people."""
        table = Table(title=f"pulumi up --stack {self.stack} would", title_justify="left")
        for column in ("do", "resource", "name", "because of"):
            table.add_column(column)
        for change in self.changes:
            style = "bold red" if change.violates else ""
            table.add_row(
                change.op, change.type, change.name, ", ".join(change.reasons), style=style
            )
        table.caption = f"{self.unchanged} unchanged"
        return table


def read(stack: str, digest: Json) -> Preview:
    """Read the document of `pulumi preview --json`."""
    changes: dict[tuple[str, str], Change] = {}
    for step in digest.get("steps") or []:
        if step["op"] == "same":
            continue
        op = "replace" if step["op"] in REPLACING else step["op"]
        _, _, kinds, name = str(step["urn"]).split("::", 3)
        reasons = step.get("replaceReasons") or step.get("diffReasons") or []
        reasons = reasons or sorted(step.get("detailedDiff") or {})
        before = changes.get((op, step["urn"]))
        if before is None or not before.reasons:
            change = Change(op, kinds.rsplit("$", 1)[-1], name, tuple(reasons))
            changes[op, step["urn"]] = change
    summary = digest.get("changeSummary") or {}
    return Preview(stack, tuple(changes.values()), int(summary.get("same") or 0))
