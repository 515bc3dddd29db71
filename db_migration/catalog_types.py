"""Enums, domains, views and functions, and which of a database's objects are its own."""

from __future__ import annotations

import re

from psycopg import sql

from db_migration.catalog import USER_SCHEMAS, fingerprint, sequence_definitions
from db_migration.postgres import Connection, rows

_OWN = (
    "NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = '{}'::regclass AND x.objid = {} "
    "AND x.deptype IN {})"
)
CONDITIONS = {
    "user": sql.SQL(USER_SCHEMAS),
    "own_schema": sql.SQL(_OWN.format("pg_namespace", "n.oid", "('e')")),
    "own_function": sql.SQL(_OWN.format("pg_proc", "p.oid", "('e', 'i')")),
    "own_type": sql.SQL(_OWN.format("pg_type", "t.oid", "('e')")),
    "own_relation": sql.SQL(_OWN.format("pg_class", "c.oid", "('e')")),
    "arguments": sql.SQL(
        r"regexp_replace(pg_get_function_arguments(p.oid), '(^|, )IN ', '\1', 'g')"
    ),
}
"""For queries of catalogs. An extension's objects come with its version, a range's constructors
with the server's, and only some servers print IN before a procedure's arguments.
"""

ATOMIC_SINCE = 140000

TYPES = """
SELECT 'enum ' || n.nspname || '.' || t.typname || ' ('
       || coalesce(string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder), '') || ')'
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_enum e ON e.enumtypid = t.oid
WHERE t.typtype = 'e' AND {user} AND {own_type} GROUP BY n.nspname, t.typname
UNION ALL
SELECT 'domain ' || n.nspname || '.' || t.typname || ' ' || format_type(t.typbasetype, t.typtypmod)
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype = 'd' AND {user} AND {own_type}
UNION ALL
SELECT 'view ' || n.nspname || '.' || c.relname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm') AND {user} AND {own_relation}
UNION ALL
SELECT 'function ' || n.nspname || '.' || p.proname || '(' || {arguments} || ')'
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {user} AND {own_function}
"""

BODIES = """
SELECT 'schema ' || n.nspname FROM pg_namespace n WHERE {user} AND {own_schema}
UNION ALL
SELECT 'view ' || n.nspname || '.' || c.relname || ' ' || pg_get_viewdef(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm') AND {user} AND {own_relation}
UNION ALL
SELECT 'function ' || n.nspname || '.' || p.proname || '(' || {arguments} || ') ' || md5(p.prosrc)
       || coalesce({atomic_body}, '')
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {user} AND {own_function}
"""


def atomic_body(connection: Connection) -> sql.SQL:
    """Return what prints the body of a function `p` that is no string (BEGIN ATOMIC)."""
    if connection.info.server_version < ATOMIC_SINCE:
        return sql.SQL("NULL::text")
    return sql.SQL("pg_get_function_sqlbody(p.oid)")


def types(connection: Connection) -> list[str]:
    """Describe enums, domains, views and functions, one line each.

    Not what a session keeps for itself (`pg_temp`): that comes and goes, and is no change.
    """
    return sorted(line for (line,) in rows(connection, sql.SQL(TYPES).format(**CONDITIONS)))


def types_fingerprint(connection: Connection) -> str:
    """Return one fingerprint of all that is no table: what `types` describes, and beside it bodies,
    schemas, and sequences that no table owns.

    The same on every server: a view counts without its names before columns.
    """
    query = sql.SQL(BODIES).format(**CONDITIONS, atomic_body=atomic_body(connection))
    bodies = rows(connection, query)
    free = [line for owner, line in sequence_definitions(connection) if owner is None]
    texts = [re.sub(r'("[^"]+"|\b\w+)\.|\s+', "", line) for (line,) in bodies]
    return fingerprint([*types(connection), *sorted(texts), *free])
