"""Lag at fixed rates of writes.

Writers keep to a schedule (open loop): a stalled write makes the next ones late, none is left out.
Arrival is stamped on the mirror by a trigger, the commit by prod's server (track_commit_timestamp),
both in the clock of the same machine: how late the writer hears of his commit does not count.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from benchmarks import ours
from benchmarks.methods import World
from benchmarks.statistics import percentile
from db_migration.agent.agent import Agent
from db_migration.agent.plan import Step
from db_migration.postgres import until

WRITERS = 4
DRAIN_SECONDS = 60.0
INSERT = (
    "INSERT INTO jobs (config_type, scope, config, status, created_at) VALUES "
    "('sync', 'benchmark', '{\"attempt\": 1}', 'running', now()) RETURNING id"
)
STAMP = """
CREATE TABLE IF NOT EXISTS arrived (id bigint, at double precision);
GRANT INSERT ON arrived TO PUBLIC;
CREATE OR REPLACE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.arrived VALUES (NEW.id, extract(epoch FROM clock_timestamp()));
    RETURN NULL; END $$;
DROP TRIGGER IF EXISTS stamp ON jobs;
CREATE TRIGGER stamp AFTER INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION stamp();
ALTER TABLE jobs ENABLE REPLICA TRIGGER stamp;
TRUNCATE arrived;
"""
COMMITTED = """
SELECT id, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 FROM jobs
WHERE id = ANY(%s)
"""


def follow(config: Path) -> None:
    """Let an agent seed and subscribe, until nothing is left to do."""
    agent = Agent(ours.load(config))
    while agent.attempt(frozenset(Step) - {Step.VERIFY}) != Step.WAIT:
        continue


@dataclass
class Written:
    """What the writers were told: the rows' ids."""

    acknowledged: list[int] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Writes a second that were in fact made."""
        return len(self.acknowledged) / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Lag:
    """Milliseconds from the commit on prod to the row's arrival on the mirror."""

    asked: int
    rate: float
    p50: float
    p99: float
    most: float
    missing: int


def write(dsn: str, rate: float, seconds: float) -> Written:
    """Insert `rate` rows a second, each in a transaction of its own."""
    written = Written()
    lock = threading.Lock()
    begin = time.time() + 0.2

    def writer(number: int) -> None:
        acknowledged: list[int] = []
        with psycopg.connect(dsn, autocommit=True) as connection:
            due = begin + number / rate
            while due < begin + seconds:
                time.sleep(max(0.0, due - time.time()))
                found = connection.execute(INSERT).fetchone()
                acknowledged += [found[0]] if found else []
                due += WRITERS / rate
        with lock:
            written.acknowledged += acknowledged

    threads = [threading.Thread(target=writer, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written.seconds = time.time() - begin
    return written


def lag_at(world: World, rate: int, seconds: float) -> Lag:
    """Write at a rate, wait until all has arrived, and compare the clocks."""
    world.target.run(STAMP, ours.MIRROR)
    written = write(world.source.dsn(world.database), rate, seconds)
    wanted = len(written.acknowledged)
    arrivals = "SELECT count(*) FROM arrived"
    until(lambda: world.target.value(arrivals, ours.MIRROR) >= wanted, DRAIN_SECONDS, every=0.1)
    with world.target.connect(ours.MIRROR) as connection:
        arrived = dict(connection.execute("SELECT id, at FROM arrived").fetchall())
    with world.source.connect(world.database) as connection:
        committed = dict(connection.execute(COMMITTED, (written.acknowledged,)).fetchall())
    return judge(rate, written, committed, arrived)


def judge(
    asked: int, written: Written, committed: Mapping[int, float], arrived: Mapping[int, float]
) -> Lag:
    """Return the percentiles of the rows that have arrived, and how many have not."""
    lags = [
        (arrived[row] - committed[row]) * 1000 for row in written.acknowledged if row in arrived
    ]
    return Lag(
        asked=asked,
        rate=written.rate,
        p50=percentile(lags, 0.5),
        p99=percentile(lags, 0.99),
        most=max(lags),
        missing=len(written.acknowledged) - len(lags),
    )
