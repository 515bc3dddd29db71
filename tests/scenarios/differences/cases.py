"""Every injected difference: what is done to the mirror, and what a verification must say."""

from __future__ import annotations

from tests.scenarios.differences.definitions import DEFINITIONS

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
    "moments swapped between columns": (
        "UPDATE moments SET one = other, other = one",
        "table public.moments: row {1} differs in one, other",
    ),
    "a key that takes unlike texts for equal": (
        "UPDATE folds SET value = 2 WHERE key = 'key 3'",
        'table public.folds: row {"key 3"} differs in value',
    ),
    "a key of two collations": (
        "UPDATE two_collations SET value = 2",
        "table public.two_collations: row {a,b} differs in value",
    ),
    "a key that includes a column": (
        "UPDATE included SET value = 2",
        "table public.included: row {1} differs in value",
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
    "row without a column": (
        "INSERT INTO hollow DEFAULT VALUES",
        "table public.hollow: row 1 2 times on the source, 3 times on the mirror",
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
    "sequence whose next number was set, not used": (
        "SELECT setval('restarted', 5, false)",
        "sequence public.restarted: stands at 4 on the mirror, behind 89999 on the source",
    ),
    "sequence that a crash empties": (
        "ALTER SEQUENCE kept SET UNLOGGED",
        "only on the mirror: sequence public.kept cache 1 unlogged",
    ),
    "sequence's cache": (
        "ALTER SEQUENCE cached CACHE 1",
        "missing on the mirror: sequence public.cached cache 10",
    ),
}

RIGHTS = {
    "right to make something": (
        "REVOKE CREATE ON SCHEMA public FROM airbyte",
        "schema public: `airbyte` has no CREATE on the mirror",
    ),
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
    "right of the owner": (
        "REVOKE INSERT ON granted FROM airbyte",
        "table public.granted: `airbyte` has no INSERT on the mirror",
    ),
    "schema that may not be used": (
        "REVOKE ALL ON SCHEMA closed FROM airbyte",
        "schema closed: `airbyte` has no USAGE on the mirror",
    ),
    "owner": (
        "ALTER TABLE owned OWNER TO postgres",
        "table public.owned: belongs to `postgres` on the mirror, not to `airbyte`",
    ),
    "owner of a composite type": (
        "ALTER TYPE pair OWNER TO postgres",
        "type public.pair: belongs to `postgres` on the mirror, not to `airbyte`",
    ),
    "owner of a function": (
        "ALTER FUNCTION twice OWNER TO postgres",
        "function public.twice: belongs to `postgres` on the mirror, not to `airbyte`",
    ),
}
SECRETS = {
    "default with a password": (
        "ALTER TABLE addressed ALTER value SET DEFAULT 'postgres://u:planted-new@db.example.com/x'",
        "only on the mirror: column value text default '(masked, 41 characters)'::text",
    ),
    "secret in a view": (
        "CREATE OR REPLACE VIEW bearer AS SELECT 'Bearer planted-new' AS header",
        "only on the mirror: view public.bearer: SELECT '(masked, 18 characters)'::text AS header",
    ),
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
UNCHANGED = (
    "choices",
    "choices_or_null",
    "half_indexed",
    "observed_2",
    "workspace",
    "connection",
    "actor_definition_workspace_grant",
    "filled_by_cached",
)
