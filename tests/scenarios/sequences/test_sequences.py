"""After a crash no number is handed out twice: neither one of a row that arrived, nor one that the
source had handed out and nobody here has heard of.
"""

from __future__ import annotations

import threading
from pathlib import Path

import psycopg

from db_migration.sides import admission, promotion
from tests.support.deployment import KEEPER, Deployment
from tests.support.fix_postgres import PgServer, wait_for
from tests.support.timeouts import FOLLOW

ADDITIONS = Path(__file__).with_name("additions.sql")
TAKES = {
    "jobs": "INSERT INTO jobs (scope, status) VALUES ('load', 'pending') RETURNING id",
    "by_serial": "INSERT INTO by_serial DEFAULT VALUES RETURNING id",
    "by_identity": "INSERT INTO by_identity DEFAULT VALUES RETURNING id",
    "by_small": "INSERT INTO by_small DEFAULT VALUES RETURNING id",
    "shared": "INSERT INTO shares_one DEFAULT VALUES RETURNING id",
    "shared, other table": "INSERT INTO shares_other DEFAULT VALUES RETURNING id",
    "by_cached": "INSERT INTO by_cached DEFAULT VALUES RETURNING id",
    "downwards": "INSERT INTO downwards DEFAULT VALUES RETURNING id",
    "by_hand": "INSERT INTO by_hand DEFAULT VALUES RETURNING id",
    "by_hand_down": "INSERT INTO by_hand_down DEFAULT VALUES RETURNING id",
    "free": "SELECT nextval('free')",
    "odd": 'SELECT nextval(\'"Odd ""one"""\')',
    "round": "SELECT nextval('round')",
}
"""How an application takes a number, from each sequence."""


def take(connection: psycopg.Connection[tuple[int]], statement: str) -> int:
    found = connection.execute(statement.encode()).fetchone()
    assert found is not None
    return int(found[0])


def taking(server: PgServer) -> tuple[dict[str, set[int]], list[threading.Thread]]:
    """Take numbers from two sessions until the server is killed; return them as well."""
    taken: dict[str, set[int]] = {name: set() for name in TAKES}

    def work() -> None:
        try:
            with server.connect("airbyte") as prod:
                while True:
                    for name, statement in TAKES.items():
                        taken[name].add(take(prod, statement))
        except psycopg.Error:
            return

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    return taken, threads


def test_no_number_is_handed_out_twice(deployment: Deployment) -> None:
    deployment.prod.sql(ADDITIONS.read_text(), database="airbyte")
    deployment.start_agents()
    deployment.until_state("following", f"prod-to-{KEEPER}")
    taken, threads = taking(deployment.prod)
    wait_for(lambda: len(taken["jobs"]) > 500, FOLLOW)
    # What was never used before, within a look of the agent before the end.
    with deployment.prod.connect("airbyte") as prod:
        taken["late"] = {take(prod, "SELECT nextval('late_first_use')") for _ in range(20)}
        # Numbers of rows that never were on the source's tables' sequences: restored by hand.
        prod.execute("INSERT INTO by_serial SELECT generate_series(100001, 100100)")
    taken["by_serial"] |= set(range(100001, 100101))
    deployment.prod.kill()
    for thread in threads:
        thread.join()
    for stop in deployment.stops:  # `end` would start the dead one again
        stop()
    deployment.stops.clear()
    config = deployment.config()
    admission.admit(config.servers[0], config.roles, None)
    promotion.promote(config, KEEPER, 1, "failover")
    with deployment.keeper.connect("airbyte") as new:
        for name, statement in {**TAKES, "late": "SELECT nextval('late_first_use')"}.items():
            again = {take(new, statement) for _ in range(200)}
            assert len(again) == 200, name
            assert not again & taken[name], name
    shared = taken["shared"] & taken["shared, other table"]
    assert shared == set()
