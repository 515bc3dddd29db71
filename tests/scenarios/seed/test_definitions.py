"""What a seed makes of the source's definitions."""

from __future__ import annotations

from db_migration.seeding import seed
from tests.support.scenario import Scenario

ODD_LINES = """
CREATE FUNCTION lines() RETURNS text LANGUAGE sql AS $$SELECT 'one
\\two
\\restrict three\r\nfour'$$;
CREATE TYPE feed AS ENUM ('form\ffeed');
ALTER TABLE stream_reset ALTER stream_name SET DEFAULT 'a\u2028b\u0085c';
"""
TOLD = """
SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'stream_reset'::regclass
UNION ALL SELECT prosrc FROM pg_proc WHERE proname = 'lines'
UNION ALL SELECT enum_range(NULL::feed)::text ORDER BY 1
"""


def test_every_line_of_a_definition_arrives_as_it_is(prepared: Scenario) -> None:
    """Whatever begins with a backslash, and whatever Python would call the end of a line."""
    prepared.source.sql(ODD_LINES, database="airbyte")
    seed.seed(prepared.context())
    there = prepared.source.sql(TOLD, database="airbyte")
    assert any("\n\\two\n\\restrict three\r\nfour" in text for (text,) in there)
    assert prepared.target.sql(TOLD, database="airbyte_mirror_seed") == there
