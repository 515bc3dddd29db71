"""Writers like prod's: they note how long their slowest statement took, and whatever failed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from tests.support import timeouts
from tests.support.fix_postgres import wait_for
from tests.support.scenario import Scenario

PAUSE_SECONDS = 0.005
WRITES = (
    # In the reverse order of the tables' names: who locks in their order meets them half-way.
    ("UPDATE jobs SET scope = random()::text WHERE id = %(n)s %% 50 + 1",
     "UPDATE attempts SET output = to_jsonb(random()) WHERE id = %(n)s %% 50 + 1",
     "UPDATE actor SET name = random()::text"),
    ("INSERT INTO keyless VALUES ('more')", "INSERT INTO jobs (status) VALUES ('pending')"),
    # There and back: between two looks it may seem never to have moved.
    ("INSERT INTO stream_reset (stream_name) VALUES ('gone')",
     "UPDATE connection SET status = 'inactive' WHERE name = 'connection 1'",
     "COMMIT", "DELETE FROM stream_reset WHERE stream_name = 'gone'",
     "UPDATE connection SET status = 'active' WHERE name = 'connection 1'"),
    ("DELETE FROM attempts WHERE id = (SELECT min(id) FROM attempts WHERE id > 100)",),
)  # fmt: skip


@dataclass
class Load:
    slowest_seconds: float = 0.0
    statements: int = 0
    failures: list[str] = field(default_factory=list)


@contextmanager
def writing(scenario: Scenario) -> Iterator[Load]:
    """Write from several sessions until the end of the block."""
    load, stop = Load(), threading.Event()

    def write(statements: tuple[str, ...]) -> None:
        with psycopg.connect(scenario.source.dsn("airbyte")) as prod:
            number = 0
            while not stop.is_set():
                number += 1
                for statement in statements:
                    begun = time.monotonic()
                    try:
                        prod.execute(statement.encode(), {"n": number})
                    except psycopg.Error as error:
                        load.failures.append(str(error))
                        prod.rollback()
                    load.slowest_seconds = max(load.slowest_seconds, time.monotonic() - begun)
                    load.statements += 1
                prod.commit()
                stop.wait(PAUSE_SECONDS)

    threads = [threading.Thread(target=write, args=(statements,)) for statements in WRITES]
    for thread in threads:
        thread.start()
    try:
        wait_for(lambda: load.statements > 50, timeouts.ARRIVES)
        yield load
    finally:
        stop.set()
        for thread in threads:
            thread.join()
