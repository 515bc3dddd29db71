"""Columns that can not be followed or copied, or mean something else there: a query a kind."""

from __future__ import annotations

from db_migration import catalog

_COLUMNS = f"""
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
WHERE {catalog.USER_SCHEMAS} AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND
"""
_TYPED = "n.nspname || '.' || c.relname || '.' || a.attname || ' ' || t.typname"
_NAMED = "n.nspname || '.' || c.relname || '.' || a.attname"
# Values that name an object of this one server: an OID, a role, a table, a position in the log.
_OF_THIS_SERVER = """
t.typnamespace = 'pg_catalog'::regnamespace AND (t.typname ~ '^_?reg' OR t.typname IN
('oid', '_oid', 'xid', 'xid8', 'cid', 'tid', 'pg_lsn', 'refcursor'))
"""
# Domains, arrays, ranges and composites do with a value what the types inside them can do.
_INSIDE = """
EXISTS (
  WITH RECURSIVE inside (oid) AS (
    SELECT t.oid
    UNION
    SELECT part.oid FROM inside JOIN pg_type p ON p.oid = inside.oid CROSS JOIN LATERAL (
      SELECT p.typbasetype WHERE p.typtype = 'd'
      UNION ALL SELECT p.typelem WHERE p.typelem <> 0 AND p.typlen = -1
      UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE r.rngtypid = p.oid
      UNION ALL SELECT m.atttypid FROM pg_attribute m
        WHERE p.typtype = 'c' AND m.attrelid = p.typrelid AND m.attnum > 0 AND NOT m.attisdropped
    ) AS part (oid))
  SELECT FROM inside JOIN pg_type b ON b.oid = inside.oid WHERE {})
"""
# What a subscriber compares a row by where it has no key: the default equality of each type.
_WITHOUT_EQUALITY = """
b.typtype = 'b' AND NOT (b.typelem <> 0 AND b.typlen = -1)
AND NOT EXISTS (
  SELECT FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod
  WHERE o.opcdefault AND m.amname IN ('btree', 'hash') AND (o.opcintype = b.oid OR EXISTS (
    SELECT FROM pg_cast k WHERE k.castsource = b.oid AND k.casttarget = o.opcintype
    AND k.castmethod = 'b' AND k.castcontext = 'i')))
"""
_NOT_COMPARED = f"""
NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND i.indimmediate
  AND (i.indisprimary OR c.relreplident = 'i' AND i.indisreplident))
AND a.attgenerated = '' AND {_INSIDE.format(_WITHOUT_EQUALITY)}
"""
_NOT_SENT = "a.attgenerated = '' AND " + _INSIDE.format(
    "b.typtype <> 'p' AND (b.typsend = 0 OR b.typreceive = 0)"
)
# The key that names a row on the target: the identity that was chosen, or else the primary key.
_IN_THE_KEY = """
a.attgenerated <> '' AND EXISTS (
  SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid
  AND a.attnum = ANY(i.indkey[0:i.indnkeyatts - 1])
  AND CASE WHEN c.relreplident = 'i' AND EXISTS (
      SELECT FROM pg_index j WHERE j.indrelid = c.oid AND j.indisreplident AND j.indisvalid)
    THEN i.indisreplident ELSE i.indisprimary END)
"""

GENERATED = f"SELECT array(SELECT {_NAMED} {_COLUMNS} a.attgenerated <> '')"
ODD = f"SELECT array(SELECT {_TYPED} {_COLUMNS} {_OF_THIS_SERVER})"
INCOMPARABLE = f"SELECT array(SELECT {_TYPED} {_COLUMNS} {_NOT_COMPARED})"
NOT_BINARY = f"SELECT array(SELECT {_TYPED} {_COLUMNS} {_NOT_SENT})"
KEY_GENERATED = f"SELECT array(SELECT {_NAMED} {_COLUMNS} {_IN_THE_KEY})"
