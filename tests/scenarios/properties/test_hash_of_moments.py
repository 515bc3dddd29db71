"""Every microsecond has a hash of its own, the same on both servers: fold-alikes, far years too."""

from __future__ import annotations

import pytest
from psycopg import sql

from db_migration.catalog import Column
from db_migration.verification.hashing import column_hash
from tests.support.fix_postgres import PgServer

MOMENTS = (
    "2000-01-01 00:00:00.000001",
    "2000-01-01 01:11:34.967296",  # 2^32 µs after the epoch of timestamps: folds to the same
    "1970-01-01 00:00:00",
    "1899-12-31 23:59:59.999999",
    "1900-01-01 00:00:00",
    "2099-12-31 23:59:59.999998",
    "2099-12-31 23:59:59.999999",
    "2100-01-01 00:00:00",
    "9999-12-31 23:59:59.999998",
    "9999-12-31 23:59:59.999999",
    "294276-12-31 23:59:59.999999",
    "4713-01-01 00:00:00 BC",
    "infinity",
    "-infinity",
)


@pytest.mark.parametrize("kind", ["timestamp", "timestamptz"])
def test_no_two_moments_look_alike(pg13: PgServer, pg17: PgServer, kind: str) -> None:
    hashed = column_hash(Column("moment", kind, kind), sql.SQL("1::int8"))
    found = [
        [
            server.sql(
                sql.SQL("SELECT {} FROM (SELECT {}::{} AS moment) AS one")
                .format(hashed, sql.Literal(moment), sql.SQL(kind))
                .as_string(None)
            )[0][0]
            for moment in MOMENTS
        ]
        for server in (pg13, pg17)
    ]
    assert found[0] == found[1]
    assert len(set(found[0])) == len(MOMENTS)
