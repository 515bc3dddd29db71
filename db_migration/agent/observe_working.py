"""Look at the working database: whose it is, how old, who uses it and who may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from db_migration import catalog, sessions
from db_migration.agent import state
from db_migration.context import Context
from db_migration.following import marks
from db_migration.postgres import Connection, Endpoint, value
from db_migration.sides import admission, standby

if TYPE_CHECKING:
    from db_migration.agent.observe import Sight


def is_empty(endpoint: Endpoint) -> bool:
    """Tell whether a database holds no table of anybody's."""
    query = sql.SQL(
        "SELECT NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND {})"
    ).format(sql.SQL(catalog.USER_SCHEMAS))
    with endpoint.connect() as connection:
        return bool(value(connection, query))


def working(
    context: Context, connection: Connection, comments: dict[str, str | None], sight: Sight
) -> state.Working | None:
    """Observe the working database; what only people need goes into `sight`."""
    settings = context.feed.working_database
    if settings is None:
        return None
    mark = marks.working_mark(comments.get(settings.name))
    waiting = marks.working_mark(comments.get(f"{settings.name}_next"))
    age: float | None = None
    if mark is not None:
        age = value(
            connection,
            "SELECT extract(epoch FROM now() - %s::timestamptz)::float8",
            (mark.made_at,),
        )
        sight.working = {
            "name": settings.name,
            "made_at": mark.made_at,
            "age_seconds": age,
            "source_lsn": mark.source_lsn,
        }
    exists = settings.name in comments
    empty = exists and mark is None and is_empty(context.server.at(settings.name))
    return state.Working(
        exists=exists,
        ours=mark is not None,
        empty=empty,
        admission_due=_admission_due(context, connection, harmless=mark is not None or empty),
        # One from the future: the clock was set back, and it would be waited for.
        due=age is None or not 0 <= age < settings.refresh_hours * 3600,
        connected=_connected(connection, settings.name),
        mirror_held_by=sessions.others(
            connection, [context.feed.target.database], sessions.WE_MAY_END
        ),
        next_exists=f"{settings.name}_next" in comments,
        next_complete=waiting is not None and waiting.complete,
        old_exists=f"{settings.name}_old" in comments,
    )


def _connected(connection: Connection, name: str) -> int:
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s "
    query += "AND backend_type = 'client backend' AND usename <> current_user"
    return int(value(connection, query, (name,)))


def _admission_due(context: Context, connection: Connection, *, harmless: bool) -> bool:
    """Tell whether somebody else may enter than who should: nobody, where prod once wrote."""
    server = context.config.server(context.feed.target.name)
    if server is None:
        return False
    role = standby.role(context, connection) if harmless else None
    return admission.due(connection, server, context.config.roles, role)


def is_working(context: Context, connection: Connection) -> bool:
    """Tell whether the working database is ours to lend, or still empty."""
    settings = context.feed.working_database
    if settings is None:
        return False
    comments = marks.of_databases(connection)
    if marks.working_mark(comments.get(settings.name)) is not None:
        return True
    return settings.name in comments and is_empty(context.server.at(settings.name))
