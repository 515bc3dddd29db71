"""What the catalogs of an Airbyte database say: tables, columns, keys, sequences.

Everything here reads; every query gives the same text on PostgreSQL 13 to 17 for the same
definition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from psycopg import sql

from db_migration.postgres import Connection, rows, value

NORMAL_OBJECTS = 16384
"""The first oid that initdb has not given (`FirstNormalObjectId`, access/transam.h)."""

USER_SCHEMAS = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_'"
_ORDINARY = "c.relkind = 'r' AND c.relpersistence = 'p'"
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
    "ordinary": sql.SQL(_ORDINARY),
    "table": sql.SQL(f"CASE WHEN {_ORDINARY} THEN n.nspname || '.' || c.relname ELSE '' END"),
}
"""For queries of catalogs. An extension's objects come with its version, a range's constructors
with the server's, and only some servers print IN before a procedure's arguments. `table` names the
relation `c` of schema `n` if it is a table that can be published.
"""


@dataclass(frozen=True)
class Table:
    """An ordinary, permanent table."""

    schema: str
    name: str
    identity: str
    has_identity: bool
    published: bool
    bytes: int
    pages: int = 0
    """Of the rows themselves, what is stored out of line not counted."""
    oid: int = 0
    """Stays the same under another name; differs from server to server."""
    file: int = 0
    """Changes with TRUNCATE and with whatever rewrites a table: both empty it for an older
    snapshot. It is the one that the reader's snapshot shows, which `pg_relation_filenode` is not.
    """
    version: str = ""
    """Changes with the table's name, among others: under a name an older snapshot shows the rows of
    the table that has it now.
    """
    body: str = ""
    """For `same_rows`, which tells whether rows came about by DDL, of which no subscriber hears:
    the table or a column was made again, another table got its name or had it for a while, ALTER
    TABLE computed values anew. Differs from server to server.
    """
    listing: str = ""
    """Changes when the table is put into the publication anew, or the publication is altered: of
    what was written before, a subscriber may not have heard.
    """

    @property
    def full_name(self) -> str:
        """`schema.table`, unquoted: the name in marks, reports and messages."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class Column:
    """A column that holds data (generated ones are computed again)."""

    name: str
    type: str
    base: str


@dataclass(frozen=True)
class Sequence:
    """A sequence and where it stands."""

    schema: str
    name: str
    last_value: int | None
    increment: int
    max_value: int
    min_value: int = 1
    start: int = 1
    cycle: bool = False
    readable: bool = True
    """Whether this role may see `last_value`: to one that may not, every sequence looks unused."""

    @property
    def full_name(self) -> str:
        """`schema.sequence`, unquoted."""
        return f"{self.schema}.{self.name}"


GIVEN = "given"
BODY = sql.SQL("""
(SELECT concat(
    left(md5(concat_ws(' ', c.oid, c.reltoastrelid,
        string_agg(a.attnum::text, ',' ORDER BY a.attnum))), 12),
    ':', (SELECT CASE WHEN t.xmin = o.xmin THEN {given} ELSE t.xmin::text END
        FROM pg_type t LEFT JOIN pg_shdepend o ON o.objid = c.oid AND o.objsubid = 0
            AND o.classid = 'pg_class'::regclass AND o.deptype = 'o'
            AND o.dbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
        WHERE t.oid = c.reltype),
    CASE c.reltoastrelid WHEN 0 THEN concat(' ',
        left(md5(concat(string_agg(a.xmin::text, ',' ORDER BY a.attnum))), 12), ' ', c.relfilenode)
    END)
FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
""").format(given=sql.Literal(GIVEN))
"""ALTER TABLE that rewrites gives a table other storage for long values, which nothing else does
(finish_heap_swap, commands/cluster.c). The type of its rows has another version after it was
renamed, be it there and back, or was given to another owner, and after nothing else; it is `given`
when who owns the table was noted by the same transaction. A table without such storage shows that
it was rewritten by its columns' versions and its file, of which nothing else changes both at once:
GRANT on a column and SET STATISTICS change the first, TRUNCATE, CLUSTER and VACUUM FULL the second.
"""


def same_rows(before: str, now: str) -> bool:
    """Tell by two bodies of a table whether no DDL has made rows between them."""
    then, *parts = before.split(" ")
    made, *parts_now = now.split(" ")
    then, _, named = then.partition(":")
    made, _, named_now = made.partition(":")
    # What an earlier version has noted says nothing of names, nor does a new owner.
    if then != made or (named and named_now not in {named, GIVEN}):
        return False
    return not parts or any(part in parts_now for part in parts)


TABLES = sql.SQL("""
SELECT n.nspname, c.relname, c.relreplident::text,
       c.relreplident = 'f' OR EXISTS (
           SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid
               AND i.indimmediate AND CASE c.relreplident WHEN 'd' THEN i.indisprimary
               WHEN 'i' THEN i.indisreplident ELSE false END),
       EXISTS (SELECT FROM pg_publication_tables p WHERE p.pubname = %s
               AND p.schemaname = n.nspname AND p.tablename = c.relname),
       pg_table_size(c.oid),
       (pg_relation_size(c.oid) / current_setting('block_size')::int)::int, c.oid,
       c.relfilenode, concat(c.xmin, ' ', n.xmin), {body}, coalesce((
           SELECT concat(r.oid, ' ', p.xmin) FROM pg_publication p
           JOIN pg_publication_rel r ON r.prpubid = p.oid
           WHERE p.pubname = %s AND r.prrelid = c.oid), '')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence = 'p'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_'
ORDER BY 1, 2
""").format(body=BODY)


def tables(connection: Connection, publication: str = "") -> list[Table]:
    """List the tables that can be published, with their replica identity.

    A deferrable key is none to PostgreSQL: prod could change no row of a table published with it.
    """
    return [Table(*item) for item in rows(connection, TABLES, (publication, publication))]


def moved(before: Iterable[Table], now: Iterable[Table]) -> list[str]:
    """Name the tables that are in another file by now."""
    return _unlike(before, now, lambda table: table.file)


def renamed(before: Iterable[Table], now: Iterable[Table]) -> list[str]:
    """Name the tables that may have had another name meanwhile."""
    return _unlike(before, now, lambda table: table.version)


def _unlike(
    before: Iterable[Table], now: Iterable[Table], trait: Callable[[Table], object]
) -> list[str]:
    then = {table.oid: trait(table) for table in before}
    return [each.full_name for each in now if then.get(each.oid, trait(each)) != trait(each)]


def columns(connection: Connection, table: Table) -> list[Column]:
    """List the stored columns of a table in their order."""
    found = rows(
        connection,
        """
        SELECT a.attname, format_type(a.atttypid, a.atttypmod), t.typname
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
        JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped
          AND a.attgenerated = ''
        ORDER BY a.attnum
        """,
        (table.schema, table.name),
    )
    return [Column(*item) for item in found]


def sequences(connection: Connection) -> list[Sequence]:
    """List the sequences; `last_value` is None until the first use."""
    found = rows(
        connection,
        """
        SELECT s.schemaname, s.sequencename, s.last_value, s.increment_by, s.max_value,
               s.min_value, s.start_value, s.cycle, has_sequence_privilege(c.oid, 'SELECT, USAGE'),
               has_sequence_privilege(c.oid, 'SELECT')
        FROM pg_sequences s JOIN pg_namespace n ON n.nspname = s.schemaname
        JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.sequencename
        WHERE s.schemaname NOT IN ('pg_catalog', 'information_schema') AND s.schemaname !~ '^pg_'
        ORDER BY 1, 2
        """,
    )
    listed = [Sequence(*item[:-1]) for item in found]
    silent = [n for n, each in enumerate(listed) if found[n][-1] and each.last_value is None]
    for place, following in _following(connection, [(n, listed[n]) for n in silent]):
        each = listed[place]
        if following != each.start:
            listed[place] = replace(each, last_value=following - each.increment)
    return listed


def _following(connection: Connection, silent: list[tuple[int, Sequence]]) -> list[tuple[int, int]]:
    """Return the next number of each sequence, behind the number it was given.

    `setval(…, false)` and RESTART WITH say which number is next, and `pg_sequences` hides it; one
    that begins where it was made to begin stays unused.
    """
    each = sql.SQL("SELECT {}::int, last_value FROM {}")
    asked = [each.format(place, sql.Identifier(one.schema, one.name)) for place, one in silent]
    return rows(connection, sql.SQL(" UNION ALL ").join(asked)) if asked else []


def unready(connection: Connection, subscription: str) -> list[str]:
    """Name the tables of this database that the subscription still copies."""
    states = copied_so_far(connection, subscription)
    return [table for table, state in states.items() if state != "r"]


def copied_so_far(connection: Connection, subscription: str) -> dict[str, str]:
    """Return `srsubstate` of each of the subscription's tables in this database: without a row
    (i, d), with those of its copy alone (f), not behind the other tables (s, r).
    """
    found = rows(
        connection,
        "SELECT n.nspname || '.' || c.relname, r.srsubstate::text FROM pg_subscription_rel r "
        "JOIN pg_subscription s ON s.oid = r.srsubid JOIN pg_class c ON c.oid = r.srrelid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE s.subname = %s ORDER BY 1",
        (subscription,),
    )
    return dict(found)


def follows(connection: Connection, subscription: str) -> bool:
    """Tell whether the server has this subscription, and has not begun to let go of it."""
    query = "SELECT bool_or(subenabled) FROM pg_subscription WHERE subname = %s"
    return bool(value(connection, query, (subscription,)))


def settings_file_readable(connection: Connection) -> bool:
    """Tell whether this role may read `pg_file_settings`, which is for superusers by default."""
    query = """
    SELECT has_table_privilege('pg_file_settings', 'SELECT')
       AND has_function_privilege('pg_show_all_file_settings()', 'EXECUTE')
    """
    return bool(value(connection, query))


def wal_bounded(connection: Connection) -> bool:
    """Tell whether slots are bounded, or can not be bounded by this role or at run time."""
    return bool(
        value(
            connection,
            """
            SELECT setting <> '-1' OR source = 'command line'
                OR current_setting('is_superuser') <> 'on'
            FROM pg_settings WHERE name = 'max_slot_wal_keep_size'
            """,
        )
    )


OTHER_SLOTS = """
SELECT coalesce(jsonb_object_agg(slot_name, coalesce(
    pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint), '{}')
FROM pg_replication_slots
WHERE slot_name <> %(slot)s AND wal_status IS DISTINCT FROM 'lost'
"""
"""The slots that are not `slot`, each with the bytes of WAL that it keeps; lost ones left out."""
