"""What a database is beside its rows: described once, for fingerprints and for verification.

By a fingerprint a change of prod's is noticed, and the copy made anew; a verification names what
the copy lacks. What only one of the two knew would be a difference that nothing ever mends, or a
new copy for nothing; so both take all of `Described` (tests/unit/db_migration/test_described.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from db_migration import catalog_grants, catalog_relations, catalog_texts, catalog_types
from db_migration.catalog import CONDITIONS, Table
from db_migration.catalog_grants import PUBLIC, Grant
from db_migration.postgres import Connection, rows_in_turn

QUERIES = (*catalog_relations.QUERIES, *catalog_types.QUERIES)
"""Each gives the full name of a table that can be published, '' for what is of none, and a line."""


@dataclass(frozen=True)
class Described:
    """Every definition of one database, and every right of somebody who is not the owner."""

    tables: Mapping[str, Sequence[str]]
    """Lines of each table that can be published, by its full name."""
    others: Sequence[str]
    views: Mapping[str, str]
    extensions: Sequence[str]
    grants: Sequence[Grant]

    def fingerprints(self, found: Iterable[Table]) -> dict[str, str]:
        """Return the fingerprint of each of these tables, with all that comes and goes with it.

        That of its own sequences counts: one that was made longer is too short on a copy.
        """
        names = [table.full_name for table in found]
        return {name: _fingerprint([*self.tables.get(name, ()), *self._of(name)]) for name in names}

    @property
    def types(self) -> str:
        """The fingerprint of all that is of no table; a new table leaves it as it was."""
        views = [f"{name} {catalog_texts.view(text)}" for name, text in self.views.items()]
        named = [f"extension {name}" for name in self.extensions]
        return _fingerprint([*self.others, *views, *named, *self._of("")])

    def _of(self, table: str) -> list[str]:
        """Return what everybody may do; a single role's rights are each server's own affair."""
        return [
            f"{grant.privilege} on {grant.name} for {PUBLIC}"
            for grant in self.grants
            if grant.table == table and grant.grantee == PUBLIC
        ]


def read(connection: Connection) -> Described:
    """Describe this database; the same whoever asks."""
    lines: dict[str, list[str]] = {}
    for query in QUERIES:
        for table, line in rows_in_turn(connection, sql.SQL(query).format(**CONDITIONS)):
            lines.setdefault(table, []).append(line)
    return Described(
        others=lines.pop("", []),
        tables=lines,
        views=catalog_types.views(connection),
        extensions=catalog_types.extensions(connection),
        grants=catalog_grants.grants(connection),
    )


def _fingerprint(lines: Iterable[str]) -> str:
    """Shorten a description so that it fits in a database's comment."""
    text = "\n".join(sorted({catalog_texts.plain(line) for line in lines}))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
