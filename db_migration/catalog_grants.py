"""Who may do what with tables, views and sequences, and see all their rows, beside their owner."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from db_migration.catalog import CONDITIONS, USER_SCHEMAS
from db_migration.postgres import Connection, rows

PUBLIC = "PUBLIC"
GRANTS = """
WITH owner AS (
  SELECT d.objid, {table} AS of_table
  FROM pg_depend d JOIN pg_class c ON c.oid = d.refobjid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
    AND d.deptype IN ('a', 'i')
), relation AS (
  SELECT n.nspname, c.oid, c.relname, c.relkind = 'S' AS is_sequence, c.relowner, c.relacl,
         coalesce(o.of_table, {table}) AS of_table
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN owner o ON c.relkind = 'S' AND o.objid = c.oid
  WHERE c.relkind IN ('r', 'p', 'S', 'v', 'm') AND {user}
), granted AS (
  SELECT r.*, '' AS attname, a.grantee, a.privilege_type
  FROM relation r CROSS JOIN LATERAL aclexplode(r.relacl) a
  UNION ALL
  SELECT r.*, t.attname, a.grantee, a.privilege_type
  FROM relation r JOIN pg_attribute t ON t.attrelid = r.oid
  CROSS JOIN LATERAL aclexplode(t.attacl) a
)
SELECT nspname, relname, is_sequence, attname,
       CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee)::text END, privilege_type,
       of_table
FROM granted WHERE grantee <> relowner
"""


@dataclass(frozen=True)
class Grant:
    """One right of one role; `column` is empty where it is on the whole relation."""

    schema: str
    relation: str
    is_sequence: bool
    column: str
    grantee: str
    privilege: str
    table: str = ""
    """The table that it is on, or whose sequence it is on; empty for views and the like."""

    @property
    def name(self) -> str:
        """`schema.relation` or `schema.relation.column`, unquoted."""
        return ".".join(part for part in (self.schema, self.relation, self.column) if part)

    @property
    def identifier(self) -> sql.Identifier:
        """The relation's name for SQL."""
        return sql.Identifier(self.schema, self.relation)

    @property
    def statement(self) -> sql.Composed:
        """What gives the same right to PUBLIC."""
        return sql.SQL("GRANT {} ON {} {} TO PUBLIC").format(
            sql.SQL(self.privilege)
            if not self.column
            else sql.SQL("{} ({})").format(sql.SQL(self.privilege), sql.Identifier(self.column)),
            sql.SQL("SEQUENCE" if self.is_sequence else "TABLE"),
            self.identifier,
        )


def grants(connection: Connection) -> list[Grant]:
    """Read every right of somebody who is not the owner."""
    found = rows(connection, sql.SQL(GRANTS).format(**CONDITIONS))
    return [Grant(*line) for line in found]


PARTLY_READ = f"""
SELECT array(SELECT n.nspname || '.' || c.relname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {USER_SCHEMAS} AND c.relkind = 'r' AND c.relrowsecurity AND (c.relforcerowsecurity
    OR NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = %(reader)s
        AND (r.rolsuper OR r.rolbypassrls OR pg_has_role(r.oid, c.relowner, 'USAGE')))) ORDER BY 1)
"""  # noqa: S608 - text of ours
"""The tables of which a policy hides rows from `reader`, or will bind the owner of the copy, in
whose name changes are applied there (FORCE).
"""


def partly_read(connection: Connection, reader: str) -> list[str]:
    """Name the tables that can not be copied whole, for their row security."""
    found = connection.execute(PARTLY_READ.encode(), {"reader": reader}).fetchone()
    return list(found[0]) if found else []


NOT_TO_GIVE = f"""
SELECT array(SELECT o.name FROM (
  SELECT 'schema ' || n.nspname AS name, n.nspowner AS owner,
    has_schema_privilege(n.oid, 'USAGE WITH GRANT OPTION')
    OR has_schema_privilege('public', n.oid, 'USAGE')
    OR has_schema_privilege(r.oid, n.oid, 'USAGE') AS readable
  FROM pg_namespace n LEFT JOIN pg_roles r ON r.rolname = %(reader)s WHERE {USER_SCHEMAS}
  UNION ALL SELECT n.nspname || '.' || c.relname, c.relowner,
    has_table_privilege(c.oid, 'SELECT WITH GRANT OPTION')
    OR has_table_privilege('public', c.oid, 'SELECT')
    OR has_table_privilege(r.oid, c.oid, 'SELECT')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_roles r ON r.rolname = %(reader)s
  WHERE {USER_SCHEMAS} AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
) AS o WHERE NOT pg_has_role(o.owner, 'USAGE') AND o.readable IS NOT TRUE ORDER BY 1)
"""  # noqa: S608 - text of ours


def not_to_give(connection: Connection, reader: str) -> list[str]:
    """Name what the connection's role may not let `reader` read, who may not yet."""
    found = connection.execute(NOT_TO_GIVE.encode(), {"reader": reader}).fetchone()
    return list(found[0]) if found else []
