"""What is printed as a query is the same for both servers, and another query is another text."""

from __future__ import annotations

import pytest

from db_migration import catalog, catalog_described, catalog_texts
from db_migration.catalog_types import views
from tests.support.fix_postgres import PgServer
from tests.support.scenario import Scenario

BODY = "CREATE OR REPLACE FUNCTION atomic() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT {}; END"
TABLES = "CREATE TABLE one (id int, label varchar); CREATE TABLE other (id int)"
VIEWS = (
    "SELECT id, label FROM one WHERE id > 1 ORDER BY id LIMIT 1",
    "SELECT o.* FROM ONLY one o",
    "SELECT o FROM one o",
    "SELECT id FROM one WHERE id IN (SELECT id FROM other WHERE other.id = one.id)",
    "SELECT id FROM one WHERE id IN (SELECT id FROM one)",
    "SELECT one.id FROM one JOIN other ON one.id = other.id",
    "SELECT one.id FROM one, other WHERE one.id IS DISTINCT FROM other.id",
    "SELECT one.id IS DISTINCT FROM 1 FROM one",
    "SELECT j.id FROM (one JOIN other USING (id)) j",
    "SELECT id FROM one UNION SELECT id FROM other",
    "WITH two AS (SELECT one.id FROM one JOIN other USING (id)) SELECT id FROM two",
    "SELECT s.id FROM (SELECT id FROM one UNION ALL SELECT id FROM other) s",
    "SELECT s.id FROM (SELECT one.id FROM one CROSS JOIN other) s",
    "SELECT n, place FROM generate_series(1, 3) WITH ORDINALITY f(n, place)",
    "SELECT a, b FROM ROWS FROM (generate_series(1, 3), generate_series(1, 2)) f(a, b)",
    "SELECT a FROM json_to_record('{}') AS f(a int, b text)",
    "SELECT a FROM (VALUES (1), (2)) v(a)",
    "SELECT count(*), label FROM one GROUP BY label HAVING count(*) > 1",
    "SELECT rank() OVER w FROM one WINDOW w AS (ORDER BY id, label)",
    "SELECT id FROM one TABLESAMPLE system (10) REPEATABLE (1)",
    "SELECT id FROM one WHERE label IN ('a.b', 'one . c') FETCH FIRST 2 ROWS ONLY",
    "SELECT ARRAY[id, 1], EXTRACT(year FROM now()) FROM one FOR UPDATE",
    "SELECT 1 AS nothing",
)


def test_another_body_is_another_view_and_another_fingerprint(pg17: PgServer) -> None:
    with pg17.connect() as connection, connection.transaction(force_rollback=True):
        texts, fingerprints = [], []
        for number in (1, 2):
            connection.execute(BODY.format(number).encode())
            texts.append(catalog_texts.view(views(connection)["function public.atomic()"]))
            fingerprints.append(catalog_described.read(connection).types)
    assert len(set(texts)) == len(set(fingerprints)) == 2


@pytest.mark.parametrize("query", VIEWS)
def test_a_view_has_one_text_on_both_servers(pg13: PgServer, pg17: PgServer, query: str) -> None:
    """It travels as the older server prints it."""
    texts = [query]
    for server in (pg13, pg17):
        with server.connect() as connection, connection.transaction(force_rollback=True):
            connection.execute(f"{TABLES}; CREATE VIEW seen AS {texts[-1]}".encode())
            connection.execute("SET LOCAL search_path = pg_catalog")
            texts.append(views(connection)["view public.seen"])
    assert catalog_texts.view(texts[1]) == catalog_texts.view(texts[2])


def test_equal_databases_have_equal_fingerprints_whoever_asks(followed: Scenario) -> None:
    """Else a copy of the one that the feed's role has read is made anew, again and again."""
    context, found = followed.context(), []
    followed.source.sql("ALTER DATABASE airbyte SET quote_all_identifiers = on")
    for endpoint in (context.reader, context.owner, context.mirror):
        with endpoint.connect() as connection:
            described, tables = catalog_described.read(connection), catalog.tables(connection)
            found.append((described.fingerprints(tables), described.types))
    followed.source.sql("ALTER DATABASE airbyte RESET quote_all_identifiers")
    assert found[0] == found[1] == found[2]
