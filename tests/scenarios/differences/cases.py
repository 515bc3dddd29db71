"""Every injected difference: what is done to the mirror, and what a verification must say."""

from __future__ import annotations

ROWS = {
    "changed by a microsecond": (
        "UPDATE jobs SET created_at = created_at + interval '1 microsecond' WHERE id = 1",
        "table public.jobs: row {1} differs in created_at",
    ),
    "changed key of a document": (
        """UPDATE composite SET value = '{"a": 1, "c": 2}'""",
        'table public.composite: row {"it\'s, \\"odd\\"",1} differs in value',
    ),
    "missing row": (
        "DELETE FROM attempts WHERE id = 7",
        "table public.attempts: row {7} missing on the mirror",
    ),
    "extra row": (
        "INSERT INTO attempts (id, job_id) VALUES (9999, 1)",
        "table public.attempts: row {9999} only on the mirror",
    ),
    "NULL against ''": (
        """UPDATE "null or empty" SET "a b" = '' WHERE id = 1""",
        "table public.null or empty: row {1} differs in a b",
    ),
    "'' against NULL": (
        """UPDATE "null or empty" SET "a b" = NULL WHERE id = 2""",
        "table public.null or empty: row {2} differs in a b",
    ),
    "values swapped between rows": (
        "UPDATE swapped SET value = CASE id WHEN 1 THEN 'two' ELSE 'one' END WHERE id < 3",
        "table public.swapped: row {2} differs in value",
    ),
    "values swapped between columns": (
        "UPDATE across SET one = other, other = one",
        "table public.across: row {1} differs in one, other",
    ),
    "columns named as the script's own aliases": (
        "UPDATE aliases SET name = 'changed'",
        "table public.aliases: row {1} differs in name",
    ),
    "fewer of the same in a table without a key": (
        "DELETE FROM keyless WHERE ctid = (SELECT min(ctid) FROM keyless)",
        "2 times on the source, 1 times on the mirror",
    ),
    "one more in a table without a key": (
        "INSERT INTO stream_reset (stream_name) VALUES ('more')",
        "table public.stream_reset: row ",
    ),
    "many rows": ("UPDATE many SET value = value + 1", "table public.many: 80 more rows differ"),
}

KINDS = {
    "big": "4294967296",  # the same as 1 to hashint8extended
    "moment": "moment + 4294967297 * interval '1 microsecond'",
    "local_moment": "'infinity'",
    "real_number": "'-0'",
    "exact": "1.00",
    "flag": "NULL",
    "words": "'{a,\"NULL\"}'",
    "raw": "'\\x01'",
    "mood": "'bad'",
    "pair": "'(1,\"\")'",
    "span": "'[1,4)'",
    "place": "'(-0,0)'",
    '"percent%s"': "'%%s'",
}
"""A new value for each column of table `kinds`: column number n is changed in row n."""

ROWS |= {
    f"value of {column}": (
        f"UPDATE kinds SET {column} = {value} WHERE id = {number}",
        f"table public.kinds: row {{{number}}} differs in {column.strip(chr(34))}",
    )
    for number, (column, value) in enumerate(KINDS.items(), 1)
}

SEQUENCES = {
    "sequence behind": (
        "SELECT setval('jobs_id_seq', 12)",
        "sequence public.jobs_id_seq: stands at 12 on the mirror, behind 500 on the source",
    ),
    "sequence never used": (
        "ALTER SEQUENCE attempts_id_seq RESTART",
        "sequence public.attempts_id_seq: stands at None on the mirror, behind 500",
    ),
    "sequence behind that counts down": (
        "SELECT setval('downwards', -3)",
        "sequence public.downwards: stands at -3 on the mirror, behind -50 on the source",
    ),
    "sequence's cache": (
        "ALTER SEQUENCE cached CACHE 1",
        "missing on the mirror: sequence public.cached cache 10",
    ),
}

DEFINITIONS = {
    "missing index": (
        "DROP INDEX jobs_scope",
        "table public.jobs: missing on the mirror: index jobs_scope CREATE INDEX jobs_scope",
    ),
    "index of another condition": (
        "DROP INDEX indexed_some; CREATE INDEX indexed_some ON indexed (value) WHERE value > 6",
        "only on the mirror: index indexed_some CREATE INDEX indexed_some",
    ),
    "missing foreign key": (
        "ALTER TABLE attempts DROP CONSTRAINT attempts_job_id_fkey",
        "missing on the mirror: constraint attempts_job_id_fkey FOREIGN KEY (job_id)",
    ),
    "missing check": (
        "ALTER TABLE constrained DROP CONSTRAINT constrained_value_check",
        "missing on the mirror: constraint constrained_value_check CHECK",
    ),
    "missing unique": (
        "ALTER TABLE constrained DROP CONSTRAINT constrained_other_key",
        "missing on the mirror: constraint constrained_other_key UNIQUE",
    ),
    "NOT NULL": (
        "ALTER TABLE constrained ALTER value DROP NOT NULL",
        "missing on the mirror: column value integer not null",
    ),
    "enum label": (
        "ALTER TYPE mood ADD VALUE 'other'",
        "only on the mirror: enum public.mood ('good', 'bad', 'other')",
    ),
    "domain's check": (
        "ALTER DOMAIN short DROP CONSTRAINT short_check",
        "missing on the mirror: domain public.short CHECK",
    ),
    "composite type": (
        "CREATE TYPE another AS (one int)",
        "only on the mirror: type public.another (one integer)",
    ),
    "column default taken away": (
        "ALTER TABLE no_default ALTER value DROP DEFAULT",
        "table public.no_default: missing on the mirror: column value text default 'x'::text",
    ),
    "column default": (
        "ALTER TABLE other_default ALTER value SET DEFAULT 'y'",
        "table public.other_default: only on the mirror: column value text default 'y'::text",
    ),
    "column type": (
        "ALTER TABLE narrow ALTER value TYPE varchar(9)",
        "table public.narrow: only on the mirror: column value character varying(9)",
    ),
    "generated column": (
        "ALTER TABLE computed ALTER twice DROP EXPRESSION",
        "missing on the mirror: column twice integer generated",
    ),
    "collation": (
        'ALTER TABLE collated ALTER value TYPE text COLLATE "C"',
        "only on the mirror: column public.collated.value collation C",
    ),
    "missing column": (
        "ALTER TABLE lost_column DROP COLUMN value",
        "table public.lost_column: missing on the mirror: column value text",
    ),
    "missing table": ("DROP TABLE lost", "table public.lost: missing on the mirror"),
    "extra table": ("CREATE TABLE more (id int)", "table public.more: only on the mirror"),
    "missing schema": ("DROP SCHEMA empty", "missing on the mirror: schema empty"),
    "partition": (
        "ALTER TABLE parts DETACH PARTITION parts_2",
        "missing on the mirror: table public.parts_2 in public.parts FOR VALUES FROM (10) TO (20)",
    ),
    "trigger": (
        "DROP TRIGGER before_insert ON touching",
        "table public.touching: missing on the mirror: trigger before_insert",
    ),
    "trigger that does not fire": (
        "ALTER TABLE touching DISABLE TRIGGER before_update",
        "only on the mirror: trigger public.touching.before_update fires never",
    ),
    "rule": (
        "DROP RULE nothing_more ON touching",
        "missing on the mirror: rule public.touching.nothing_more",
    ),
    "view": (
        "CREATE OR REPLACE VIEW seen AS SELECT id FROM jobs WHERE status = 'failed'",
        "only on the mirror: view public.seen: SELECT id FROM jobs WHERE (status = 'failed'",
    ),
    "missing view": ("DROP VIEW unseen", "missing on the mirror: view public.unseen"),
    "function": (
        "CREATE OR REPLACE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 3'",
        "only on the mirror: function public.twice(n integer) returns integer in sql",
    ),
    "row security": (
        "ALTER TABLE guarded DISABLE ROW LEVEL SECURITY",
        "missing on the mirror: table public.guarded row security",
    ),
    "policy": (
        "DROP POLICY all_of_it ON guarded",
        "missing on the mirror: policy public.guarded.all_of_it * using (id > 0)",
    ),
    "statistics": (
        "DROP STATISTICS indexed_both",
        "missing on the mirror: statistics CREATE STATISTICS public.indexed_both",
    ),
    "table option": (
        "ALTER TABLE optioned RESET (fillfactor)",
        "missing on the mirror: table public.optioned options fillfactor=70",
    ),
}

RIGHTS = {
    "grant": (
        "GRANT UPDATE ON granted TO PUBLIC",
        "table public.granted: UPDATE granted to PUBLIC only on the mirror",
    ),
    "grant on a column": (
        "GRANT UPDATE (value) ON narrow TO PUBLIC",
        "table public.narrow.value: UPDATE granted to PUBLIC only on the mirror",
    ),
    "grant taken away": (
        "REVOKE SELECT ON swapped FROM PUBLIC",
        "table public.swapped: SELECT granted to PUBLIC only on the source",
    ),
    "owner": (
        "ALTER TABLE owned OWNER TO postgres",
        "table public.owned: belongs to `postgres` on the mirror, not to `airbyte`",
    ),
    "owner of a function": (
        "ALTER FUNCTION twice OWNER TO postgres",
        "function public.twice: belongs to `postgres` on the mirror, not to `airbyte`",
    ),
}
SECRETS = {
    "secret": (
        "UPDATE secrets SET payload = 'planted-new'",
        "table public.secrets: row ",
    ),
    "connector's configuration": (
        """UPDATE actor SET configuration = '{"password": "planted-new"}'""",
        "table public.actor: row {1} differs in configuration",
    ),
    "secret as a key": (
        "UPDATE auth_refresh_token SET revoked = true",
        "table public.auth_refresh_token: row (masked #",
    ),
    "address with a password": (
        "UPDATE notes SET note = 'postgres://user:planted-new@db.example.com/x' WHERE id = 1",
        "table public.notes: row {1} differs in note",
    ),
    "text of a secret's kind": (
        "UPDATE notes SET note = 'plAnTed0new1Abcdefgh23ij' WHERE id = 3",
        "table public.notes: row {3} differs in note",
    ),
}

CASES = ROWS | SEQUENCES | DEFINITIONS | RIGHTS | SECRETS
UNCHANGED = ("workspace", "connection", "actor_definition_workspace_grant", "filled_by_cached")
