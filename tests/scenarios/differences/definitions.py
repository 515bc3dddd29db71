"""Injected differences of definitions: what is done to the mirror, and what must be said."""

from __future__ import annotations

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
    "enum without labels": (
        "DROP TYPE unlabelled",
        "missing on the mirror: enum public.unlabelled ()",
    ),
    "domain's check": (
        "ALTER DOMAIN short DROP CONSTRAINT short_check",
        "missing on the mirror: domain public.short short_check CHECK",
    ),
    "name of a domain's check": (
        "ALTER DOMAIN named RENAME CONSTRAINT one TO other",
        "only on the mirror: domain public.named other CHECK",
    ),
    "order of a range": (
        'DROP TYPE words; CREATE TYPE words AS RANGE (subtype = text, collation = "C")',
        "only on the mirror: range public.words of text collation C",
    ),
    "operators of a range": (
        "DROP TYPE patterns; CREATE TYPE patterns AS RANGE (subtype = text)",
        "range public.patterns of text collation default operators text_pattern_ops canonical",
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
    "column type of another kind": (
        "ALTER TABLE retyped ALTER value TYPE text",
        "table public.retyped: only on the mirror: column value text",
    ),
    "order of columns": (
        "ALTER TABLE ordered DROP one, ADD one int",
        "only on the mirror: table public.ordered columns in the order id, other, one",
    ),
    "generated column": (
        "ALTER TABLE computed ALTER twice DROP EXPRESSION",
        "missing on the mirror: column twice integer generated",
    ),
    "collation": (
        'ALTER TABLE collated ALTER value TYPE text COLLATE "C"',
        "only on the mirror: column public.collated.value collation C",
    ),
    "collation of another schema": (
        'ALTER TABLE recollated ALTER value TYPE text COLLATE "C"',
        "missing on the mirror: column public.recollated.value collation theirs.C",
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
    "foreign key that is not checked": (
        "ALTER TABLE child DISABLE TRIGGER ALL",
        "only on the mirror: trigger public.child.child_parent_id_fkey fires never",
    ),
    "rule": (
        "DROP RULE nothing_more ON touching",
        "missing on the mirror: rule public.touching.nothing_more",
    ),
    "rule that does not apply": (
        "ALTER TABLE ruled DISABLE RULE none_deleted",
        "DO INSTEAD NOTHING; never",
    ),
    "trigger of a partitioned table": (
        "DROP TRIGGER of_all_parts ON parts",
        "missing on the mirror: trigger public.parts.of_all_parts CREATE TRIGGER of_all_parts",
    ),
    "trigger of a view": (
        "DROP TRIGGER entering ON entered",
        "missing on the mirror: trigger public.entered.entering CREATE TRIGGER entering INSTEAD OF",
    ),
    "default of a view's column": (
        "ALTER VIEW entered ALTER id DROP DEFAULT",
        "missing on the mirror: column public.entered.id default 5",
    ),
    "view": (
        "CREATE OR REPLACE VIEW seen AS SELECT id FROM jobs WHERE status = 'failed'",
        "only on the mirror: view public.seen: SELECT id FROM public.jobs WHERE (status = 'failed'",
    ),
    "number in a view": (
        "CREATE OR REPLACE VIEW many_of_them AS SELECT id, 'a.b' AS label FROM many "
        "WHERE value > 2.5",
        "missing on the mirror: view public.many_of_them: SELECT many.id",
    ),
    "view that holds rows": (
        "DROP VIEW kept_nowhere; CREATE MATERIALIZED VIEW kept_nowhere AS SELECT 1 AS one",
        "only on the mirror: materialized view public.kept_nowhere",
    ),
    "missing view": ("DROP VIEW unseen", "missing on the mirror: view public.unseen"),
    "function": (
        "CREATE OR REPLACE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 3'",
        "only on the mirror: function public.twice(n integer) returns integer in sql",
    ),
    "function's setting": (
        "ALTER FUNCTION pinned RESET ALL",
        "missing on the mirror: function public.pinned() returns integer in sql",
    ),
    "aggregate": (
        "CREATE OR REPLACE AGGREGATE total(int) (sfunc = int4mul, stype = int, initcond = '1')",
        "only on the mirror: aggregate public.total(integer) of integer starts '1'",
    ),
    "row security": (
        "ALTER TABLE guarded DISABLE ROW LEVEL SECURITY",
        "missing on the mirror: table public.guarded row security",
    ),
    "policy": (
        "DROP POLICY all_of_it ON guarded",
        "missing on the mirror: policy public.guarded.all_of_it * for PUBLIC using (id > 0)",
    ),
    "policy that restricts": (
        "CREATE POLICY less ON guarded AS RESTRICTIVE TO airbyte USING (id > 1)",
        "only on the mirror: restrictive policy public.guarded.less * for airbyte using (id > 1)",
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
