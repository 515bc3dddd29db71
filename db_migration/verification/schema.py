"""Definitions that `catalog.definitions` leaves out: what a mirror must have, but what does not
decide whether it can follow.
"""

from __future__ import annotations

import re

from psycopg import sql

from db_migration.catalog_types import CONDITIONS, atomic_body
from db_migration.postgres import Connection, rows

TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\d+(?:\.\d+)?|\w+|\s+|.""", re.DOTALL)
ITEM = re.compile(r"(?:(?:'(?:[^']|'')*'|NULL)::character varying|[a-z_]\w*(?:\.\w+)*)")
VARCHARS = re.compile(rf"\(\(ARRAY\[({ITEM.pattern}(?:, {ITEM.pattern})*)\]\)::text\[\]\)")

RELATIONS = """
SELECT 'column ' || n.nspname || '.' || c.relname || '.' || a.attname || ' collation ' || k.collname
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_collation k ON k.oid = a.attcollation
WHERE {user} AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
  AND a.attcollation <> t.typcollation
UNION ALL
SELECT 'table ' || n.nspname || '.' || c.relname || ' options ' || o.option
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL unnest(c.reloptions) AS o (option) WHERE {user} AND c.relkind IN ('r', 'p', 'v')
UNION ALL
SELECT 'table ' || n.nspname || '.' || c.relname || ' columns in the order '
       || string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid
WHERE {user} AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
  AND a.attnum > 0 AND NOT a.attisdropped GROUP BY c.oid, n.nspname, c.relname
UNION ALL
SELECT 'table ' || n.nspname || '.' || c.relname || ' row security'
       || CASE WHEN c.relrowsecurity THEN ' on' ELSE '' END
       || CASE WHEN c.relforcerowsecurity THEN ' forced' ELSE '' END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {user} AND (c.relrowsecurity OR c.relforcerowsecurity)
UNION ALL
SELECT CASE WHEN p.polpermissive THEN 'policy ' ELSE 'restrictive policy ' END
       || n.nspname || '.' || c.relname || '.' || p.polname || ' ' || p.polcmd::text || ' for '
       || (SELECT string_agg(CASE WHEN r = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r)::text END, ', '
           ORDER BY r = 0, pg_get_userbyid(r)) FROM unnest(p.polroles) AS r)
       || coalesce(' using ' || pg_get_expr(p.polqual, p.polrelid), '')
       || coalesce(' check ' || pg_get_expr(p.polwithcheck, p.polrelid), '')
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {user}
UNION ALL
SELECT 'trigger ' || n.nspname || '.' || c.relname || '.' || coalesce((SELECT o.conname
           FROM pg_constraint o WHERE g.tgisinternal AND o.oid = g.tgconstraint), g.tgname)
       || ' fires '
       || CASE g.tgenabled WHEN 'D' THEN 'never' WHEN 'R' THEN 'on replicas' ELSE 'always' END
FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {user} AND g.tgenabled <> 'O'
UNION ALL
SELECT 'trigger ' || n.nspname || '.' || c.relname || '.' || g.tgname || ' '
       || pg_get_triggerdef(g.oid)
FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {user} AND c.relkind IN ('v', 'p') AND NOT g.tgisinternal AND g.tgparentid = 0
UNION ALL
SELECT 'column ' || n.nspname || '.' || c.relname || '.' || a.attname || ' default '
       || pg_get_expr(d.adbin, d.adrelid)
FROM pg_attrdef d JOIN pg_class c ON c.oid = d.adrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.adnum
WHERE {user} AND c.relkind IN ('v', 'p')
UNION ALL
SELECT 'rule ' || n.nspname || '.' || c.relname || '.' || r.rulename || ' '
       || pg_get_ruledef(r.oid) || CASE r.ev_enabled WHEN 'O' THEN '' WHEN 'D' THEN ' never'
          WHEN 'R' THEN ' on replicas' ELSE ' always' END
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {user} AND r.rulename <> '_RETURN'
UNION ALL
SELECT 'partitioned table ' || n.nspname || '.' || c.relname || ' by ' || pg_get_partkeydef(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {user} AND c.relkind = 'p'
UNION ALL
SELECT 'table ' || n.nspname || '.' || c.relname || ' in ' || i.inhparent::regclass::text || ' '
       || coalesce(pg_get_expr(c.relpartbound, c.oid), '')
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {user} AND c.relkind IN ('r', 'p')
UNION ALL
SELECT 'statistics ' || pg_get_statisticsobjdef(s.oid)
FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE {user}
"""

OTHERS = """
SELECT 'schema ' || n.nspname FROM pg_namespace n WHERE {user} AND {own_schema}
UNION ALL
SELECT 'function ' || n.nspname || '.' || p.proname || '('
       || {arguments} || ') returns '
       || coalesce(pg_get_function_result(p.oid), 'nothing') || ' in ' || l.lanname
       || CASE WHEN p.prosecdef THEN ' security definer' ELSE '' END || ' ' || p.provolatile::text
       || CASE WHEN p.proisstrict THEN ' strict' ELSE '' END
       || CASE WHEN p.proleakproof THEN ' leakproof' ELSE '' END || ' parallel '
       || p.proparallel::text
       || ' cost ' || p.procost || ' rows ' || p.prorows
       || coalesce(' set ' || quote_literal(array_to_string(p.proconfig, ', ')), '')
       || ' body ' || md5(p.prosrc)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE {user} AND {own_function}
UNION ALL
SELECT 'aggregate ' || n.nspname || '.' || p.proname || '(' || {arguments} || ') of '
       || g.aggtranstype::regtype::text || ' starts ' || quote_nullable(g.agginitval)
       || ' moving ' || g.aggmtranstype::regtype::text || ' ' || quote_nullable(g.aggminitval)
       || ' sort ' || g.aggsortop::regoperator::text || ' ' || (to_jsonb(g) - ARRAY[
          'aggfnoid', 'aggtranstype', 'agginitval', 'aggmtranstype', 'aggminitval',
          'aggsortop'])::text
FROM pg_aggregate g JOIN pg_proc p ON p.oid = g.aggfnoid
JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {user} AND {own_function}
UNION ALL
SELECT 'domain ' || n.nspname || '.' || t.typname || CASE WHEN t.typnotnull THEN ' not null' ELSE ''
       END || coalesce(' default ' || pg_get_expr(t.typdefaultbin, 0), '')
       || coalesce((SELECT string_agg(' ' || pg_get_constraintdef(o.oid), '' ORDER BY o.conname)
       FROM pg_constraint o WHERE o.contypid = t.oid AND o.contype = 'c'), '')
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE {user} AND t.typtype = 'd' AND {own_type}
UNION ALL
SELECT 'type ' || n.nspname || '.' || t.typname || ' (' || coalesce((SELECT string_agg(a.attname
       || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum) FROM pg_attribute a
       WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped), '') || ')'
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_class c ON c.oid = t.typrelid
WHERE {user} AND c.relkind = 'c' AND {own_type}
UNION ALL
SELECT 'range ' || n.nspname || '.' || t.typname || ' of ' || r.rngsubtype::regtype::text
FROM pg_range r JOIN pg_type t ON t.oid = r.rngtypid JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE {user} AND {own_type}
UNION ALL
SELECT 'sequence ' || n.nspname || '.' || c.relname || ' cache ' || s.seqcache
       || CASE WHEN c.relpersistence = 'u' AND NOT EXISTS (SELECT FROM pg_depend d
               JOIN pg_class o ON o.oid = d.refobjid AND o.relpersistence = 'u'
               WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
               AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i'))
          THEN ' unlogged' ELSE '' END
       || coalesce((
       SELECT ' owned by ' || d.refobjid::regclass::text || '.' || a.attname FROM pg_depend d
       JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
       WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
       AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')), '')
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {user}
"""

VIEWS = """
SELECT 'view ' || n.nspname || '.' || c.relname, pg_get_viewdef(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {user} AND c.relkind IN ('v', 'm') AND {own_relation}
UNION ALL
SELECT 'function ' || n.nspname || '.' || p.proname || '(' || {arguments} || ')', {atomic_body}
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE {user} AND {own_function} AND {atomic_body} IS NOT NULL
"""

EXTENSIONS = "SELECT 'extension ' || extname FROM pg_extension"


def lines(connection: Connection) -> list[str]:
    """Describe everything else but views, one line each, the same on PostgreSQL 13 and 17."""
    return sorted(
        line
        for query in (RELATIONS, OTHERS)
        for (line,) in rows(connection, _query(connection, query))
    )


def views(connection: Connection) -> dict[str, str]:
    """Return the text of every view, materialized ones too, by its kind and name.

    A function whose body is no string counts as one: it is printed as a view is.
    """
    return dict(rows(connection, _query(connection, VIEWS)))


def extensions(connection: Connection) -> list[str]:
    """Name the extensions, whatever their version."""
    return sorted(line for (line,) in rows(connection, EXTENSIONS))


def _query(connection: Connection, text: str) -> sql.Composed:
    return sql.SQL(text).format(**CONDITIONS, atomic_body=atomic_body(connection))


def same_view(one: str, other: str) -> bool:
    """Tell whether two servers print the same view.

    Up to PostgreSQL 15 `table.` stands before each column of a view of one table, from 16 on it is
    left out: only that one name, and only on one side, may be missing.
    """
    tokens = [[part for part in TOKEN.findall(text) if part.strip()] for text in (one, other)]
    return _says_more(*tokens) or _says_more(*reversed(tokens))


def _says_more(longer: list[str], shorter: list[str]) -> bool:
    """Tell whether the lists are equal but for one name and its dots, here and there."""
    place, name = 0, None
    left = iter(range(len(longer)))
    for at in left:
        qualifies = longer[at + 1 : at + 2] == ["."]
        same = shorter[place : place + 1] == longer[at : at + 1]
        if same and not (qualifies and shorter[place + 1 : place + 2] != ["."]):
            place += 1
        elif qualifies and longer[at] == (name := name or longer[at]):
            next(left)
        else:
            return False
    return place == len(shorter)


def plain(line: str) -> str:
    """Return a definition without what differs by version only: how a list of varchar is cast."""
    return VARCHARS.sub(
        lambda found: "(ARRAY["
        + ", ".join(f"({one})::text" for one in ITEM.findall(found[1]))
        + "])",
        line,
    )
