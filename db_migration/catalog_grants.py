"""Who may do what with tables, views and sequences, beside their owner."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from db_migration.catalog import CONDITIONS
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
