"""A function's body that is no string (BEGIN ATOMIC, from PostgreSQL 14 on) is compared, too."""

from __future__ import annotations

from db_migration import catalog_types
from db_migration.verification import schema
from tests.support.fix_postgres import PgServer

BODY = "CREATE OR REPLACE FUNCTION atomic() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT {}; END"


def test_another_body_is_another_view_and_another_fingerprint(pg17: PgServer) -> None:
    with pg17.connect() as connection, connection.transaction(force_rollback=True):
        texts, fingerprints = [], []
        for number in (1, 2):
            connection.execute(BODY.format(number).encode())
            texts.append(schema.views(connection)["function public.atomic()"])
            fingerprints.append(catalog_types.types_fingerprint(connection))
    assert not schema.same_view(*texts)
    assert len(set(fingerprints)) == 2
