"""What each step of the cut-over does, forwards and back; every one may be killed and repeated."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from db_migration import catalog
from db_migration.airbytes import drain as draining
from db_migration.airbytes import jobs
from db_migration.airbytes.jobs import OpenJob
from db_migration.context import Context
from db_migration.cutover.sides import Sides
from db_migration.effects import Effect, effect
from db_migration.errors import BlockedError, DifferenceFoundError
from db_migration.following import follow, marks, prepare, sequences, slots, subscription
from db_migration.journal import Journal
from db_migration.postgres import APPLICATION_NAME, Connection, until, value
from db_migration.seeding import seed
from db_migration.sides import admission, compose_database, epoch, fences, promotion
from db_migration.sides.epoch import Epoch
from db_migration.verification import verify

CUTTING_OVER = "cutting_over"
REASON = "cut-over"
ROLL_BACK = "roll-back"
LOCK_DEADLINE_SECONDS = 120
QUIET_DEADLINE_SECONDS = 10
OTHERS = """
SELECT coalesce(string_agg(DISTINCT usename || ' (' || application_name || ')', ', '), '')
FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'
AND application_name <> %s
"""


def journal_of(context: Context) -> Journal:
    """Return a feed's journal, on the server that it fills."""
    return Journal(context.control, context.feed.name)


def pause(sides: Sides, locks: ExitStack, feeds: Sequence[Context] = ()) -> None:
    """Have the agents of all feeds, or of these, keep still between two steps."""
    for context in feeds or sides.feeds:
        journal = journal_of(context)
        journal.open()
        pause_feed(journal)
        _lock(journal, locks)


def _lock(journal: Journal, locks: ExitStack) -> None:
    def alone() -> bool:
        with ExitStack() as attempt:
            if not attempt.enter_context(journal.alone()):
                return False
            locks.enter_context(attempt.pop_all())
            return True

    if not until(alone, LOCK_DEADLINE_SECONDS):
        raise BlockedError(
            found=f"an agent is still at a step after {LOCK_DEADLINE_SECONDS} s",
            needed="agents that are between two steps",
            way_out="look at `db-migration status`; then repeat",
        )


def resume(sides: Sides, locks: ExitStack, feeds: Sequence[Context] = ()) -> None:
    """Let the agents go on: those of all feeds, or of these."""
    for context in feeds or sides.feeds:
        resume_feed(journal_of(context))
    locks.close()


@effect(Effect.PAUSE_FEED)
def pause_feed(journal: Journal) -> None:
    """Note that the feed keeps still."""
    journal.intend(CUTTING_OVER, on=True)


@effect(Effect.RESUME_FEED)
def resume_feed(journal: Journal) -> None:
    """Take that back."""
    journal.intend(CUTTING_OVER, on=False)


def drain(sides: Sides) -> None:
    """Let the jobs end, as the configuration says; raise BlockedError naming what still runs."""
    how = sides.config.cutover
    if how is None:
        return
    means = draining.Means(
        look=lambda: running_jobs(sides),
        cancel=lambda job: sides.means.cancel(sides.old, job.job),
        say=sides.means.say,
    )
    for left in draining.drain(means, how.drain_seconds, how.drain):
        sides.means.say(f"not drained, and ended by the fence: {left}")


def running_jobs(sides: Sides) -> list[OpenJob]:
    """Return the jobs that run, or are about to."""
    with sides.to_keeper.owner.connect() as connection:
        return jobs.still_open(connection)


def fence(sides: Sides) -> None:
    """Stop compose's Airbyte, and see that nobody but us is left in its database."""
    stop_compose(sides)
    name = sides.to_keeper.feed.source.database
    with sides.to_keeper.owner.connect() as connection:
        quiet = until(
            lambda: not value(connection, OTHERS, (name, APPLICATION_NAME)), QUIET_DEADLINE_SECONDS
        )
        if not quiet:
            raise _not_alone(connection, name)


def _not_alone(connection: Connection, name: str) -> BlockedError:
    who = value(connection, OTHERS, (name, APPLICATION_NAME))
    return BlockedError(
        found=f"still in prod's database after compose was stopped: {who}",
        needed="nobody who could write there",
        way_out="end these sessions and what opens them, then repeat",
    )


@effect(Effect.FENCE_COMPOSE)
def stop_compose(sides: Sides) -> None:
    """Stop all of compose but the database, so that it stays stopped over a reboot."""
    sides.host(sides.old).run("stop airbyte")


def catch_up(sides: Sides) -> None:
    """Wait until both mirrors have applied all that prod has written, and move the sequences.

    A mirror that an earlier life has let go of had caught up by then, and its slot stands still;
    the verification that follows would show it if anything was written since.
    """
    both = (sides.to_target, sides.to_keeper)
    slots = [context.feed.slot for context in both if _follows(context)]
    behind = (
        "SELECT count(*) FROM pg_replication_slots WHERE slot_name = ANY(%s) "
        "AND confirmed_flush_lsn < %s::pg_lsn"
    )
    seconds = sides.config.catch_up_seconds
    with sides.to_keeper.owner.connect() as connection:
        end = value(connection, "SELECT pg_current_wal_lsn()::text")
        if not until(lambda: value(connection, behind, (slots, end)) == 0, seconds, every=0.005):
            raise BlockedError(
                found=f"a mirror has not applied all of prod's changes within {seconds:g} s",
                needed="two mirrors that follow",
                way_out="look at `db-migration status` on both hosts, then repeat",
            )
    for context in both:
        sequences.advance(context, context.mirror)


def _follows(context: Context) -> bool:
    with context.control.connect() as connection:
        return catalog.follows(connection, context.feed.slot)


def verify_exactly(sides: Sides) -> dict[str, Any]:
    """Compare prod, where nobody writes, with both mirrors; raise DifferenceFoundError."""
    both = {sides.target.name: sides.to_target, sides.keeper.name: sides.to_keeper}
    with ThreadPoolExecutor(len(both)) as pool:
        running = {name: pool.submit(verify.verify, context) for name, context in both.items()}
        found = {name: job.result().as_dict() for name, job in running.items()}
    differences = [f"{name}: {line}" for name in found for line in found[name]["differences"]]
    if differences:
        raise DifferenceFoundError(
            found=f"{len(differences)} difference(s): {'; '.join(differences[:5])}",
            needed="two mirrors that are equal to prod",
            way_out="`db-migration verify` names them all; find who writes to the mirror",
        )
    for name, context in both.items():
        journal_of(context).save_verification(found[name])
    return {name: {key: found[name][key] for key in ("tables", "rows")} for name in found}


def close_prod(sides: Sides) -> None:
    """Detach both mirrors from prod, drop the slots there, and let nobody in any more."""
    for server, context in ((sides.keeper, sides.to_keeper), (sides.target, sides.to_target)):
        promotion.let_go(server)
        follow.drop_slot(context)
    close_database(sides)


def close_database(sides: Sides) -> None:
    """Fence prod's database itself, whoever starts compose again."""
    name = sides.to_keeper.feed.source.database
    with compose_database.server(sides.to_keeper).connect() as connection:
        if value(connection, OTHERS, (name, APPLICATION_NAME)):
            raise _not_alone(connection, name)
    compose_database.close(sides.to_keeper)


def promote(sides: Sides, number: int) -> None:
    """Make the mirror prod's database."""
    promotion.promote(sides.config, sides.target.name, number, REASON)


def hand_over(sides: Sides) -> None:
    """Let the other mirror follow the new database from here, without copying a row.

    Both are equal and nobody writes, so that any slot made now starts where the mirror stands.
    """
    context = sides.after
    prepare.publish(context)
    with context.owner.connect() as connection:
        slot = slots.look(connection, context.feed.slot)
    with context.mirror.connect() as connection:
        enabled = subscription.enabled(connection, context.feed.slot)
    if enabled is None:
        if slot is not None:
            follow.drop_slot(context)
        mark_handed_over(context)
        follow.create_subscription(context)
    if not enabled:
        follow.enable(context)


@effect(Effect.HAND_OVER)
def mark_handed_over(context: Context) -> None:
    """Make the slot, and note in the mirror's mark that it is what the slot starts from."""
    with context.reader.connect(replication="database") as walsender:
        start = seed.create_slot(context, walsender)
    with context.owner.connect() as source:
        mark = seed.read_plan(source, start).mark
    with context.control.connect() as connection:
        marks.write_mirror(connection, context.feed.target.database, mark)


def advance(sides: Sides, new: Epoch, after: int) -> None:
    """Write the epoch: on the new database server first, then wherever somebody answers."""
    first = [sides.target.name, sides.keeper.name]
    rest = [server.name for server in sides.config.servers if server.name not in first]
    epoch.advance(sides.config, new, [*first, *rest], after=after)


def admit(sides: Sides, role: str | None) -> None:
    """Let in nobody but `role`."""
    admission.admit(sides.target, sides.config.roles, role)


@effect(Effect.ACTIVATE)
def activate(sides: Sides, number: int) -> None:
    """Have the new Airbyte's host apply its active rendering, behind the sync fence."""
    fences.require_sync_fence(sides.config, sides.new, sides.host)
    rendering = f"active-{sides.target.name}"
    sides.host(sides.new).run(f"activate {sides.new.name} {number} {rendering}")


@effect(Effect.PROVE)
def prove(sides: Sides) -> dict[str, Any]:
    """Touch every active connection, and see that each is scheduled again."""
    found = sides.means.prove(sides.config, sides.new)
    if found.unscheduled:
        listed = "; ".join(f"{name}: {why}" for name, why in sorted(found.unscheduled.items()))
        raise BlockedError(
            found=f"{len(found.unscheduled)} connection(s) are not scheduled: {listed}",
            needed="a schedule for every active connection",
            way_out="mend what is said above, then repeat `db-migration cutover`",
        )
    return found.as_dict()
