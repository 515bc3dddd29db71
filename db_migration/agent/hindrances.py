"""Why a feed, or a part of it, keeps still, in the words that people are told. Pure."""

from __future__ import annotations

from db_migration.agent.state import Observed, Working


def not_live(seen: Observed) -> str | None:
    """Say why the feed has nothing to do: another database than its source is active."""
    active = seen.active
    if active is None or active.database == seen.source_name:
        return None
    return f"the active database is {active.database} (epoch {active.epoch})"


def paused(seen: Observed) -> str | None:
    """Say why the feed must keep still for a moment."""
    if not seen.intent.cutting_over:
        return None
    return "a cut-over was begun: `cutover` ends it, `cutover --abort` takes it back"


def holds_copy(seen: Observed) -> str | None:
    """Say why no copy is begun now, though one is needed."""
    quiet = seen.policy.schema_quiet_seconds
    if seen.quiet_seconds < quiet:
        return (
            "the source's schema is changing: the mirror stays as it was, and a new copy is begun "
            f"when the schema has been quiet for {quiet:g} s"
        )
    if seen.rest_seconds > 0:
        return "the last attempt at a copy failed; the next one follows after a pause"
    return None


def holds_working(working: Working, seen: Observed) -> str | None:
    """Say what forbids to renew the working database, for people."""
    if working.exists and not working.ours and not working.empty:
        return "it holds tables and has no mark of ours: empty it, or name another working database"
    if working.connected and not seen.policy.can_stop_reader:
        return (
            f"{working.connected} session(s) use it: stop the standby Airbyte, "
            "or give `reader_host_control`"
        )
    return None if working.next_complete else _hinders_clone(working, seen)


def _hinders_clone(working: Working, seen: Observed) -> str | None:
    """Say why the mirror is not cloned: the feed would be stopped for nothing."""
    if working.mirror_held_by:
        return (
            f"{working.mirror_held_by} is in the mirror, and may not be put out by us: end these "
            "sessions, or read it as a role that the feed's role is a member of"
        )
    if seen.clone_rest_seconds > 0:
        return "the last attempt failed; the next one follows after a pause"
    return None
