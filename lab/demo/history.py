"""What the engine itself recorded about its last update of a stack."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from lab.demo.commands import captured, shown


@dataclass(frozen=True, kw_only=True)
class Update:
    """Counts of resources by what happened to them in one `pulumi up`."""

    created: int
    updated: int
    same: int
    replaced: int
    deleted: int

    def text(self) -> str:
        """Say only what happened at all."""
        named = {
            "created": self.created,
            "updated": self.updated,
            "unchanged": self.same,
            "replaced": self.replaced,
            "deleted": self.deleted,
        }
        return ", ".join(f"{count} {name}" for name, count in named.items() if count)


def last_update(stack: str, env: Mapping[str, str]) -> Update:
    """Read the newest entry of `pulumi stack history`."""
    text = captured(
        ["pulumi", "stack", "history", "--stack", stack, "--json", "--page-size", "1"], env
    )
    changes = json.loads(text)[0]["resourceChanges"]
    return Update(
        created=changes.get("create", 0),
        updated=changes.get("update", 0),
        same=changes.get("same", 0),
        replaced=changes.get("replace", 0),
        deleted=changes.get("delete", 0),
    )


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One `pulumi up` of the demo."""

    name: str
    update: Update
    seconds: float


def bring_up(stack: str, env: Mapping[str, str]) -> Stage:
    """Run `pulumi up` and read from the engine's history what it did."""
    seconds = shown(["pulumi", "up", "--yes", "--non-interactive", "--stack", stack], env)
    return Stage(name=stack, update=last_update(stack, env), seconds=seconds)
