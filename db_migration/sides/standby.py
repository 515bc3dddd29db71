"""Which Airbyte stands by on the working database, how it is let in, stopped and started."""

from __future__ import annotations

from db_migration.agent.state import Active
from db_migration.config import Config, InstanceConfig
from db_migration.context import Context
from db_migration.errors import UnreachableError
from db_migration.postgres import Connection
from db_migration.sides import admission, epoch
from db_migration.sides.hosts import HostControl


def of(config: Config, active_airbyte: str) -> InstanceConfig | None:
    """Return the abctl Airbyte that stands by while `active_airbyte` is prod, if there is one.

    As long as compose is prod, the instance that the cut-over will lead to is only prepared.
    """
    active = config.instance(active_airbyte)
    waiting = [i for i in config.instances if i.kind == "abctl" and i.name != active_airbyte]
    if active is not None and active.kind == "compose" and config.cutover is not None:
        waiting = [i for i in waiting if i.name != config.cutover.airbyte]
    return waiting[0] if len(waiting) == 1 else None


def role(context: Context, connection: Connection) -> str | None:
    """Return the standby's login, by the epoch that the working database's server knows."""
    found = of(context.config, epoch.here(context.config, connection).airbyte)
    return found.role if found is not None else None


def host(context: Context, active: Active | None) -> HostControl | None:
    """Return how the standby's host is commanded: the epoch's own, or the one configured."""
    if not context.config.instances or active is None:
        return context.reader_host
    found = of(context.config, active.airbyte)
    return context.instance_host(found) if found is not None else None


def current_host(context: Context) -> HostControl | None:
    """Return how the standby's host is commanded now."""
    if not context.config.instances:
        return context.reader_host
    with context.control.connect() as connection:
        now = epoch.here(context.config, connection)
    return host(context, Active(now.epoch, now.database, now.airbyte))


def admit(context: Context) -> None:
    """Let the standby in and everybody else out; nobody, if the database is not a working one."""
    _admit(context, shut_out=False)


def shut_out(context: Context) -> None:
    """Let nobody in, for a standby whose host does not answer."""
    _admit(context, shut_out=True)


def _admit(context: Context, *, shut_out: bool) -> None:
    from db_migration.agent import observe_working  # noqa: PLC0415 - it imports this module

    server = context.config.server(context.feed.target.name)
    if server is None:
        return
    with context.control.connect() as connection:
        harmless = observe_working.is_working(context, connection)
        wanted = role(context, connection) if harmless and not shut_out else None
    admission.admit(server, context.config.roles, wanted)


def stop(control: HostControl, context: Context) -> None:
    """Stop the standby; one whose host does not answer is shut out by the database instead."""
    try:
        control.run("stop abctl")
    except UnreachableError:
        if context.config.instances:
            shut_out(context)
            return
        raise


def start(control: HostControl, context: Context) -> None:
    """Start the standby; what a silent host runs when it comes back is its own rendering's."""
    try:
        control.run("start abctl")
    except UnreachableError:
        if not context.config.instances:
            raise
