"""Prod's own DDL does not fail because it meets one of our statements on the same table."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from db_migration.following import prepare, release
from tests.support.beside import beside
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


def test_rights_come_and_go_while_a_table_is_changed(scenario: Scenario) -> None:
    context = scenario.context()
    with changing(scenario) as found:
        for _ in range(TIMES):
            prepare.create_role(context)
            release.drop_role(context)
    assert found.failed == []
    assert found.done > TIMES
