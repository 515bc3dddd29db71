"""The table at the end of the demo: every figure in it was measured in this run."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from lab.demo.history import Stage
from lab.demo.measure import Lag, Ledger, Scheduled
from lab.load_verdict import Rows


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
    """What the load generator's files say of v0 and v1, outside the hosts."""

    acknowledged: int
    missing_on_copy: int
    failed: int
    """Outside the announced restart of prod's database; must be 0."""
    failed_in_restart: int
    restart_seconds: float


@dataclass(frozen=True, kw_only=True)
class MainJob:
    """v0 to v1."""

    stages: list[Stage]
    promotion_seconds: float
    copy: Copy
    lag: Lag
    load: Load


@dataclass(frozen=True, kw_only=True)
class Crash:
    """The death of prod's host; seconds."""

    from_last_write: float
    """From the last write that prod accepted to the first that the replica accepted."""
    from_command: float
    """From the failover command to that write."""


@dataclass(frozen=True, kw_only=True)
class Final:
    """v2, and the crash it exists for."""

    stage: Stage
    promotion_seconds: float
    cut_over_seconds: float
    """From the last write that Compose accepted to the first that prod on abctl accepted."""
    crash: Crash
    acknowledged: int
    rows: Rows
    connections: Scheduled
    ledger: Ledger
    database: str
    """Where the replica works now."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """All that the demo measured."""

    main: MainJob
    final: Final

    def problems(self) -> list[str]:
        """Name every figure that breaks the promise; empty when the demo succeeded."""
        load, final = self.main.load, self.final
        ledger, connections = final.ledger, final.connections
        checks = {
            "the copy differs from prod": not self.main.copy.equal,
            f"{load.missing_on_copy} acknowledged writes are not on the copy": (
                load.missing_on_copy > 0
            ),
            f"{load.failed} statements failed on prod": load.failed > 0,
            "no write was acknowledged while the feed was made": load.acknowledged == 0,
            f"{final.rows.missing} acknowledged rows are missing after the crash": (
                final.rows.missing > 0
            ),
            f"{connections.active - connections.scheduled} connections are not scheduled": (
                connections.scheduled < connections.active or connections.active == 0
            ),
            f"destinations lost {ledger.lost} records and doubled {ledger.doubled}": (
                ledger.lost + ledger.doubled > 0
            ),
            f"more than one Airbyte wrote at a time: {', '.join(ledger.writers)}": (
                not ledger.one_writer
            ),
        }
        return [text for text, broken in checks.items() if broken]


def show(outcome: Outcome, console: Console) -> None:
    """Print the table."""
    table = Table(title="Measured in this run", show_lines=False, title_justify="left")
    table.add_column("what")
    table.add_column("measured", overflow="fold")
    for what, measured in [*_main_job(outcome.main), *_final(outcome.final)]:
        table.add_row(what, measured)
    console.print(table)


def _main_job(main: MainJob) -> Iterator[tuple[str, str]]:
    copy, lag, load = main.copy, main.lag, main.load
    for stage in main.stages:
        yield _stage(stage)
    yield "stagectl promote v0 v1", f"{main.promotion_seconds:.0f} s"
    yield "rows in prod and in the copy", f"{copy.rows:,} in {copy.tables} tables"
    yield (
        "bytes in prod / in the copy",
        f"{copy.source_bytes:,} / {copy.target_bytes:,} on disk",
    )
    yield "verified by hash", "equal" if copy.equal else "DIFFERENT"
    yield (
        "feed lag under load",
        f"median {lag.median_ms:.0f} ms, worst {lag.worst_ms:.0f} ms ({lag.samples} writes)",
    )
    yield "writes acknowledged by prod until then", f"{load.acknowledged:,}"
    yield "  of these not on the copy", f"{load.missing_on_copy}"
    yield "prod statements failed", f"{load.failed}"
    yield (
        "  in flight when its database was restarted for wal_level",
        f"{load.failed_in_restart} (away for {load.restart_seconds:.1f} s, once, allowed by"
        " allowSourceRestart)",
    )


def _final(final: Final) -> Iterator[tuple[str, str]]:
    crash, ledger, connections = final.crash, final.ledger, final.connections
    yield "stagectl promote v1 v2", f"{final.promotion_seconds:.0f} s"
    yield _stage(final.stage)
    yield "cut-over: prod accepted no write for", f"{final.cut_over_seconds:.1f} s"
    yield (
        "prod's host killed, failover: the replica's first write",
        f"{crash.from_command:.1f} s after the command,"
        f" {crash.from_last_write:.1f} s after prod's last",
    )
    yield "writes acknowledged in all", f"{final.acknowledged:,}"
    yield f"  of these missing on {final.database}", f"{final.rows.missing}"
    yield "  rows there whose answer nobody got", f"{final.rows.never_acknowledged}"
    yield (
        "active connections scheduled again",
        f"{connections.scheduled} of {connections.active}",
    )
    yield (
        "destinations: records lost / doubled",
        f"{ledger.lost} / {ledger.doubled} of {ledger.records:,}"
        f" ({ledger.repeated} repeated after a sync that died)",
    )
    yield (
        "one writer at every moment",
        f"{'yes' if ledger.one_writer else 'NO'}: {', then '.join(ledger.writers)}",
    )


def _stage(stage: Stage) -> tuple[str, str]:
    return f"pulumi up {stage.name}", f"{stage.update.text()} in {stage.seconds:.0f} s"
