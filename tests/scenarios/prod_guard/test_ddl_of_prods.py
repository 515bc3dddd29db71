"""Prod's own DDL does not fail because it meets one of our statements on the same table."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from db_migration import catalog_described
from db_migration.catalog_described import Described
from db_migration.following import reader_role, release
from tests.support.beside import beside
from tests.support.fix_postgres import wait_for
from tests.support.scenario import Scenario

TIMES = 15


@dataclass
class Changes:
    """What prod's DDL met."""

    done: int = 0
    failed: list[str] = field(default_factory=list)


@contextmanager
def changing(scenario: Scenario) -> Iterator[Changes]:
    """Change a table's definition all the time."""
    found = Changes()

    def change(ended: threading.Event) -> None:
        with scenario.source.connect("airbyte") as prod:
            while not ended.is_set():
                try:
                    prod.execute(f"ALTER TABLE jobs SET (fillfactor = {50 + found.done % 50})")
                except psycopg.Error as error:
                    found.failed.append(str(error))
                found.done += 1

    with beside(change):
        yield found


VIEWS = """
CREATE TABLE read_first (id int);
CREATE TABLE read_second (id int);
CREATE VIEW of_first AS SELECT id FROM read_first;
CREATE VIEW of_second AS SELECT id FROM read_second;
"""


def test_a_circle_of_locks_is_left_by_whoever_describes_views(scenario: Scenario) -> None:
    """Printing a view locks its tables. Who has waited for `deadlock_timeout` looks for no circle
    any more, and the server would end prod's transaction.
    """
    scenario.source.sql(VIEWS, database="airbyte")
    found: list[Described] = []

    def describe(_: threading.Event) -> None:
        with scenario.context().owner.connect() as connection:
            found.append(catalog_described.read(connection))

    with scenario.source.connect("airbyte") as prod, beside(describe), prod.transaction():
        prod.execute("ALTER TABLE read_second ADD more int")
        began = time.monotonic()
        wait_for(lambda: time.monotonic() - began > 1.5, 5)
        prod.execute("ALTER TABLE read_first ADD more int")
    assert found[0].views.keys() >= {"view public.of_first", "view public.of_second"}


def test_rights_come_and_go_while_a_table_is_changed(scenario: Scenario) -> None:
    context = scenario.context()
    with changing(scenario) as found:
        for _ in range(TIMES):
            reader_role.create_role(context)
            release.drop_role(context)
    assert found.failed == []
    assert found.done > TIMES
