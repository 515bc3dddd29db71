"""Whether the publication of our name publishes every change of every table that it names."""

from __future__ import annotations

from db_migration.config import PUBLICATION
from db_migration.following import marks
from db_migration.postgres import Connection, row, rows, value

EXISTS = "SELECT true FROM pg_publication WHERE pubname = %s"
WHOLE = """
SELECT puballtables, array_remove(ARRAY[
    CASE WHEN NOT pubinsert THEN 'insert' END, CASE WHEN NOT pubupdate THEN 'update' END,
    CASE WHEN NOT pubdelete THEN 'delete' END, CASE WHEN NOT pubtruncate THEN 'truncate' END],
    NULL), pubviaroot
FROM pg_publication WHERE pubname = %s
"""
NARROWED = """
SELECT n.nspname || '.' || c.relname FROM pg_publication_rel r
JOIN pg_publication p ON p.oid = r.prpubid
JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE p.pubname = %s AND (r.prqual IS NOT NULL OR r.prattrs IS NOT NULL) ORDER BY 1
"""
SCHEMAS = """
SELECT EXISTS (SELECT FROM pg_publication_namespace n JOIN pg_publication p ON p.oid = n.pnpubid
               WHERE p.pubname = %s)
"""
MEMBERS = """
SELECT schemaname || '.' || tablename FROM pg_publication_tables WHERE pubname = %s ORDER BY 1
"""
COMMENT = """
SELECT obj_description(oid, 'pg_publication'), pg_has_role(pubowner, 'USAGE')
FROM pg_publication WHERE pubname = %s
"""
SINCE_15 = 150000


def exists(connection: Connection) -> bool:
    """Tell whether there is a publication of our name, whoever made it."""
    return bool(value(connection, EXISTS, (PUBLICATION,)))


def members(connection: Connection) -> list[str]:
    """Name the tables that it publishes."""
    return [name for (name,) in rows(connection, MEMBERS, (PUBLICATION,))]


def comment(connection: Connection) -> tuple[str | None, bool]:
    """Return its comment, and whether we may write it; neither where it is not there."""
    found, may = row(connection, COMMENT, (PUBLICATION,)) or (None, False)
    return found, may


def noted(connection: Connection) -> bool:
    """Tell whether it has a comment of ours."""
    said, _ = comment(connection)
    return marks.decode(said) is not None


def faults(connection: Connection) -> list[str] | None:
    """Say what makes it another one than `prepare` makes; None if it is not there."""
    found = row(connection, WHOLE, (PUBLICATION,))
    if found is None:
        return None
    all_tables, unpublished, via_root = found
    said = ["is FOR ALL TABLES"] if all_tables else []
    said += [f"does not publish {', '.join(unpublished)}"] if unpublished else []
    said += ["has publish_via_partition_root"] if via_root else []
    if connection.info.server_version >= SINCE_15:
        narrowed = [name for (name,) in rows(connection, NARROWED, (PUBLICATION,))]
        said += [f"has a row filter or column list for {', '.join(narrowed)}"] if narrowed else []
        said += ["is FOR TABLES IN SCHEMA"] if value(connection, SCHEMAS, (PUBLICATION,)) else []
    return [f"publication `{PUBLICATION}` {what}" for what in said]
