"""What `stagectl preview` found, and its words: names and keys, never values. No I/O."""

from dataclasses import dataclass
from enum import StrEnum

from stages.stagectl.errors import ExitCode
from stages.stagectl.plan import STAGES
from stages.stagectl.preview import Change, Preview
from stages.stagectl.state import Json

WORDS = {
    "create": "create",
    "update": "update in place",
    "replace": "replace",
    "delete": "delete",
    "read": "read",
    "refresh": "refresh",
}


class Ground(StrEnum):
    """What a stage was previewed on."""

    EMPTY = "empty"
    HELD = "held"
    PROMOTED = "promoted"
    PASSED = "passed"


def ground_of(stage: str, holder: str | None) -> Ground:
    """Tell on what a stage is to be previewed, when `holder` holds the deployment."""
    if holder is None:
        return Ground.EMPTY
    if holder == stage:
        return Ground.HELD
    forward = STAGES.index(holder) < STAGES.index(stage)
    return Ground.PROMOTED if forward else Ground.PASSED


@dataclass(frozen=True, kw_only=True)
class Report:
    """One stage's preview, and on what it was made."""

    stage: str
    holder: str | None
    """The stage that holds the deployment, if one does."""
    preview: Preview

    @property
    def ground(self) -> Ground:
        """What the stage was previewed on."""
        return ground_of(self.stage, self.holder)

    @property
    def sentence(self) -> str:
        """Tell the ground to people."""
        texts = {
            Ground.EMPTY: "No stage holds the deployment in this backend: previewed in an empty "
            "world.",
            Ground.HELD: f"Previewed on a copy of the deployment, which {self.holder} holds.",
            Ground.PROMOTED: f"Previewed on a copy of the deployment, which {self.holder} holds, "
            f"promoted to {self.stage}.",
            Ground.PASSED: f"{self.holder} holds the deployment, so `pulumi up --stack "
            f"{self.stage}` would be refused: previewed in an empty world, to try program and "
            "settings.",
        }
        return f"{texts[self.ground]} No host was asked."

    @property
    def summary(self) -> str:
        """Counts by operation, in one line."""
        counts = self.preview.counts
        parts = [f"{n} to {WORDS.get(op, op)}" for op, n in sorted(counts.items(), key=_weight)]
        return ", ".join([*parts, f"{self.preview.unchanged} unchanged"])

    @property
    def changes(self) -> list[Change]:
        """The changes, what needs a decision first."""
        return sorted(self.preview.changes, key=lambda c: _weight((c.op, 0)))

    @property
    def exit_code(self) -> ExitCode:
        """OK unless something would be replaced or deleted."""
        return ExitCode.WOULD_REPLACE_OR_DELETE if self.preview.violations else ExitCode.OK

    def as_json(self) -> Json:
        """Give the form for --json."""
        return {
            "stage": self.stage,
            "holder": self.holder,
            "ground": self.ground,
            "counts": {**self.preview.counts, "unchanged": self.preview.unchanged},
            "preview": self.preview.as_json(),
            "exit_code": int(self.exit_code),
        }


def _weight(counted: tuple[str, int]) -> int:
    """Order of operations: unknown ones before all others."""
    order = ["delete", "replace", "update", "create"]
    op = counted[0]
    return order.index(op) if op in order else len(order) if op in WORDS else -1
