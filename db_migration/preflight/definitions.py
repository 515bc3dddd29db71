"""Definitions that the target refuses, or that fail there: looked up, or tried on a row."""

from __future__ import annotations

from typing import Any, cast

import psycopg
from psycopg import sql

from db_migration import catalog
from db_migration.catalog import NORMAL_OBJECTS
from db_migration.postgres import Connection, rows, run, value

TRY_SECONDS = 2
MAY_TRY = "SELECT has_database_privilege(current_database(), 'TEMPORARY')"

OF_SUPERUSERS = f"""
SELECT array(SELECT pg_describe_object(o.class, o.id, 0) FROM (
  SELECT 'pg_proc'::regclass AS class, p.oid AS id FROM pg_proc p
  JOIN pg_language l ON l.oid = p.prolang
  LEFT JOIN pg_aggregate g ON g.aggfnoid = p.oid
  WHERE NOT l.lanpltrusted AND g.aggfnoid IS NULL OR p.proleakproof
  OR 'internal'::regtype IN (g.aggtranstype, g.aggmtranstype) OR EXISTS (
    SELECT FROM unnest(p.proconfig) AS c (setting)
    JOIN pg_settings s ON lower(s.name) = lower(split_part(c.setting, '=', 1))
    WHERE s.context = 'superuser') OR EXISTS (
    SELECT FROM unnest(p.proconfig) AS c (setting)
    WHERE split_part(c.setting, '=', 1) LIKE '%%.%%' AND c.setting NOT LIKE 'plpgsql.%%'
    AND NOT EXISTS (SELECT FROM pg_settings s
      WHERE lower(s.name) = lower(split_part(c.setting, '=', 1))))
  UNION ALL SELECT 'pg_cast'::regclass, oid FROM pg_cast
  WHERE castmethod = 'b' OR greatest(castsource, casttarget) < {NORMAL_OBJECTS}
  UNION ALL SELECT 'pg_opclass'::regclass, oid FROM pg_opclass
  WHERE opcfamily < {NORMAL_OBJECTS}
  UNION ALL SELECT 'pg_opfamily'::regclass, oid FROM pg_opfamily
  UNION ALL SELECT 'pg_type'::regclass, oid FROM pg_type WHERE typtype = 'b' AND typelem = 0
  UNION ALL SELECT 'pg_ts_template'::regclass, oid FROM pg_ts_template
  UNION ALL SELECT 'pg_ts_parser'::regclass, oid FROM pg_ts_parser
  UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, oid FROM pg_foreign_data_wrapper
  UNION ALL SELECT 'pg_language'::regclass, oid FROM pg_language
  UNION ALL SELECT 'pg_am'::regclass, oid FROM pg_am
) AS o
WHERE o.id >= {NORMAL_OBJECTS} AND NOT EXISTS (SELECT FROM pg_depend x
  WHERE x.classid = o.class AND x.objid = o.id AND x.deptype IN ('e', 'i')) ORDER BY 1)
"""  # noqa: S608 - a number of ours
NAMED = f"""
SELECT array(SELECT format('role %%s', r.rolname) FROM pg_policy o
  CROSS JOIN unnest(o.polroles) AS p (role) JOIN pg_roles r ON r.oid = p.role
  UNION SELECT format('setting %%s', lower(split_part(c.setting, '=', 1)))
  FROM pg_proc p CROSS JOIN unnest(p.proconfig) AS c (setting)
  WHERE p.oid >= {NORMAL_OBJECTS} AND split_part(c.setting, '=', 1) NOT LIKE '%%.%%'
  UNION SELECT format('postfix operator %%s', o.oid::regoperator) FROM pg_operator o
  WHERE o.oprright = 0 AND o.oid >= {NORMAL_OBJECTS} ORDER BY 1)
"""  # noqa: S608 - a number of ours
"""What a target may lack: roles of policies, settings of functions, what 14 took away."""
KNOWN = """
SELECT array(SELECT format('role %%s', rolname) FROM pg_roles
  UNION SELECT format('setting %%s', lower(name)) FROM pg_settings)
"""
_THEIR_FUNCTION = f"""
EXISTS (SELECT FROM pg_depend x JOIN pg_proc p ON p.oid = x.refobjid
  WHERE x.refclassid = 'pg_proc'::regclass AND p.oid >= {NORMAL_OBJECTS} AND
"""
CHECKS = f"""
SELECT array(SELECT n.nspname || '.' || c.relname || '.' || o.conname
  FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE {catalog.USER_SCHEMAS} AND o.contype = 'c' AND {_THEIR_FUNCTION}
    x.classid = 'pg_constraint'::regclass AND x.objid = o.oid AND p.provolatile <> 'i')
  ORDER BY 1)
"""  # noqa: S608 - text of ours
_EXPRESSIONS = f"""
SELECT e.what, n.nspname, c.relname, pg_get_userbyid(c.relowner), e.said FROM (
  SELECT 'constraint ' || o.conname, o.conrelid, pg_get_expr(o.conbin, o.conrelid)
  FROM pg_constraint o WHERE o.contype = 'c' AND {_THEIR_FUNCTION}
    x.classid = 'pg_constraint'::regclass AND x.objid = o.oid)
  UNION ALL SELECT 'column ' || a.attname, a.attrelid, pg_get_expr(d.adbin, d.adrelid)
  FROM pg_attribute a JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attgenerated <> ''
  UNION ALL SELECT 'index ' || k.relname, i.indrelid, part.said
  FROM pg_index i JOIN pg_class k ON k.oid = i.indexrelid CROSS JOIN LATERAL (
    VALUES (pg_get_expr(i.indexprs, i.indrelid)), (pg_get_expr(i.indpred, i.indrelid))
  ) AS part (said)
  WHERE {_THEIR_FUNCTION} x.classid = 'pg_class'::regclass AND x.objid = i.indexrelid)
  UNION ALL SELECT 'column ' || a.attname, a.attrelid, format('%I::%s::%s', a.attname,
    format_type(t.typbasetype, t.typtypmod), format_type(t.oid, NULL))
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
  JOIN pg_constraint o ON o.contypid = t.oid
  WHERE NOT a.attisdropped AND {_THEIR_FUNCTION}
    x.classid = 'pg_constraint'::regclass AND x.objid = o.oid)
) AS e (what, relation, said)
JOIN pg_class c ON c.oid = e.relation JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {catalog.USER_SCHEMAS} AND c.relkind = 'r' AND e.said IS NOT NULL ORDER BY 2, 3, 1
"""  # noqa: S608 - text of ours
_NOT_FOUND = (
    psycopg.errors.UndefinedFunction,
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedObject,
    psycopg.errors.InvalidSchemaName,
)


def needing_a_path(connection: Connection) -> list[str] | None:
    """Name what calls functions that do not find what they name: tried on one row of each table.

    Nothing is looked up by `search_path` where the target applies changes, nor in a dump.
    """
    try:
        found = rows(connection, sql.SQL(cast("Any", _EXPRESSIONS)))
        if found and not value(connection, MAY_TRY):
            return None
    except psycopg.Error:
        if connection.closed:
            raise
        return None
    return [
        f"{schema}.{table}: {what} ({said})"
        for what, schema, table, owner, expression in found
        if (said := _failure(connection, sql.Identifier(schema, table), owner, expression))
    ]


def _failure(
    connection: Connection, table: sql.Identifier, owner: str, expression: str
) -> str | None:
    """Say what is not found; other errors are the row's or the right's, and tell nothing.

    Functions of prod's run here. In a SECURITY DEFINER function of the table's owner they have his
    rights, and by no means get ours back, which may be a superuser's; SET ROLE they could undo.
    """
    query = sql.SQL("SELECT {} FROM ONLY {} LIMIT 1").format(
        sql.SQL(cast("Any", expression)), table
    )
    tried = sql.SQL("""
    SET LOCAL statement_timeout = {};
    CREATE FUNCTION pg_temp.tried() RETURNS void LANGUAGE sql SECURITY DEFINER AS {};
    ALTER FUNCTION pg_temp.tried() OWNER TO {};
    SET TRANSACTION READ ONLY
    """).format(TRY_SECONDS * 1000, query.as_string(connection), sql.Identifier(owner))
    try:
        # Rolled back, so that no setting or NOTIFY of theirs outlives it.
        with connection.transaction(force_rollback=True):
            run(connection, tried)
            run(connection, "SELECT pg_temp.tried()")
    except _NOT_FOUND as error:
        return error.diag.message_primary
    except psycopg.Error:
        if connection.closed:
            raise
    return None
