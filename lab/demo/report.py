"""The table at the end of the demo: every figure in it was measured in this run."""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from lab.demo.history import Update
from lab.demo.measure import Lag


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One `pulumi up` of the demo."""

    name: str
    update: Update
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Copy:
    """The answer of `db-migration verify --json`, summed over all tables."""

    tables: int
    rows: int
    source_bytes: int
    target_bytes: int
    equal: bool


@dataclass(frozen=True, kw_only=True)
class Load:
    """What the load generator's files say, outside the hosts."""

    acknowledged: int
    missing_on_copy: int
    failed: int
    """Outside the announced restart of prod's database; must be 0."""
    failed_in_restart: int
    restart_seconds: float


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """All that the demo measured."""

    stages: list[Stage]
    promotion_seconds: float
    copy: Copy
    lag: Lag
    load: Load

    def problems(self) -> list[str]:
        """Name every figure that breaks the promise; empty when the demo succeeded."""
        checks = {
            "the copy differs from prod": not self.copy.equal,
            f"{self.load.missing_on_copy} acknowledged writes are not on the copy": (
                self.load.missing_on_copy > 0
            ),
            f"{self.load.failed} statements failed on prod": self.load.failed > 0,
            "no write was acknowledged while the feed was made": self.load.acknowledged == 0,
        }
        return [text for text, broken in checks.items() if broken]


def show(outcome: Outcome, console: Console) -> None:
    """Print the table."""
    table = Table(title="Measured in this run", show_lines=False, title_justify="left")
    table.add_column("what")
    table.add_column("measured", overflow="fold")
    for stage in outcome.stages:
        table.add_row(f"pulumi up {stage.name}", f"{stage.update.text()} in {stage.seconds:.0f} s")
    table.add_row("stagectl promote v0 v1", f"{outcome.promotion_seconds:.0f} s")
    copy = outcome.copy
    table.add_row("rows in prod and in the copy", f"{copy.rows:,} in {copy.tables} tables")
    table.add_row(
        "bytes in prod / in the copy", f"{copy.source_bytes:,} / {copy.target_bytes:,} on disk"
    )
    table.add_row("verified by hash", "equal" if copy.equal else "DIFFERENT")
    table.add_row(
        "feed lag under load",
        f"median {outcome.lag.median_ms:.0f} ms, worst {outcome.lag.worst_ms:.0f} ms"
        f" ({outcome.lag.samples} writes)",
    )
    load = outcome.load
    table.add_row("writes acknowledged by prod", f"{load.acknowledged:,}")
    table.add_row("  of these not on the copy", f"{load.missing_on_copy}")
    table.add_row("prod statements failed", f"{load.failed}")
    table.add_row(
        "  in flight when its database was restarted for wal_level",
        f"{load.failed_in_restart} (away for {load.restart_seconds:.1f} s, once, allowed by"
        " allowSourceRestart)",
    )
    console.print(table)
