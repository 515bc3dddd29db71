"""A mirror becomes prod's database while its source is dead, and the dead one comes back."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from db_migration.errors import BlockedError
from db_migration.sides import admission, epoch, promotion, servers
from db_migration.sides.epoch import Epoch
from tests.support.deployment import INTERMEDIARY, KEEPER, NEW, REPLICA, Deployment, enter
from tests.support.fix_postgres import wait_for
from tests.support.scenario import ROOT, content
from tests.support.timeouts import AGENT_STEP, FOLLOW

NAMES = (
    "SELECT datname, pg_get_userbyid(datdba) FROM pg_database WHERE datname ~ '^airbyte' ORDER BY 1"
)


def test_with_a_dead_source_and_a_standby_at_work(deployment: Deployment) -> None:
    deployment.start_agents()
    deployment.until_state("following", f"prod-to-{KEEPER}")
    wait_for(lambda: deployment.feed_state(f"prod-to-{KEEPER}")["working_database"], FOLLOW)
    config, server = deployment.config(), deployment.config().servers[0]
    burst = "INSERT INTO jobs (id, scope, status) VALUES (9000, 'burst', 'succeeded')"
    deployment.prod.sql(burst, database="airbyte")
    deployment.until_equal((deployment.prod, "airbyte"), (deployment.keeper, "airbyte_mirror"))
    there = content(deployment.prod, "airbyte")
    deployment.end()
    deployment.prod.kill()
    admission.admit(server, config.roles, "airbyte_replica")
    with enter(deployment.keeper, "airbyte_replica") as standby:
        with pytest.raises(BlockedError, match="role airbyte_replica may enter it"):
            promotion.promote(config, KEEPER, 1, "failover")
        admission.admit(server, config.roles, None)
        promotion.promote(config, KEEPER, 1, "failover")
        promotion.promote(config, KEEPER, 1, "failover")
        with pytest.raises(psycopg.OperationalError):
            standby.execute("SELECT 1")
    assert deployment.keeper.sql(NAMES) == [
        ("airbyte", "airbyte"),
        ("airbyte_before_failover_1", "airbyte"),
        ("airbyte_migration", "airbyte_migration"),
        ("airbyte_mirror", "airbyte_migration"),
    ]
    assert content(deployment.keeper, "airbyte") == there
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        enter(deployment.keeper, "airbyte_replica")
    admission.admit(server, config.roles, "airbyte_replica")
    with enter(deployment.keeper, "airbyte_replica") as prod:
        query = "INSERT INTO jobs (scope, status) VALUES ('new', 'pending') RETURNING id"
        found = prod.execute(query).fetchone()
        assert found is not None
        assert isinstance(found[0], int)
        assert found[0] > 9000
        prod.execute("CREATE TABLE by_the_bootloader (id int)")


def test_mirror_that_is_no_complete_copy_is_refused(deployment: Deployment) -> None:
    with pytest.raises(BlockedError, match="no complete copy"):
        promotion.promote(deployment.config(), KEEPER, 1, "failover")


def test_returned_server_does_no_harm(deployment: Deployment) -> None:
    """It was active, died, and was replaced: it lets nobody in, and fills a mirror beside."""
    deployment.start_agents()
    deployment.until_following()
    config = deployment.config()
    here, there = deployment.config().servers
    promotion.promote(config, INTERMEDIARY, 1, "cut-over")
    epoch.advance(config, Epoch(1, INTERMEDIARY, NEW, "cut-over"), [INTERMEDIARY, KEEPER])
    admission.admit(there, config.roles, "airbyte_prod")
    deployment.until_state("following", f"{INTERMEDIARY}-to-{KEEPER}")
    stale = content(deployment.intermediary, "airbyte")
    deployment.end()
    deployment.intermediary.kill()
    admission.admit(here, config.roles, None)
    promotion.promote(config, KEEPER, 2, "failover")
    epoch.advance(config, Epoch(2, KEEPER, REPLICA, "failover"), [KEEPER, INTERMEDIARY])
    admission.admit(here, config.roles, "airbyte_replica")
    with enter(deployment.keeper, "airbyte_replica") as prod:
        prod.execute("INSERT INTO jobs (scope, status) VALUES ('after', 'pending')")
    deployment.intermediary.start()
    deployment.start_agents()
    deployment.until_state("following", f"{KEEPER}-to-{INTERMEDIARY}")
    deployment.until_equal(
        (deployment.keeper, "airbyte"), (deployment.intermediary, "airbyte_mirror")
    )
    assert content(deployment.intermediary, "airbyte") == stale
    for role in ("airbyte_prod", "airbyte_replica"):
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            enter(deployment.intermediary, role)
    with enter(deployment.keeper, "airbyte_replica") as prod:
        prod.execute("SELECT 1")


def test_agent_ends_when_its_configuration_changes(deployment: Deployment) -> None:
    path = deployment.folder / f"{KEEPER}.json"
    command = [sys.executable, "-m", "db_migration", "run", "--config", str(path)]
    with (deployment.folder / "agent.log").open("w") as log:
        agent = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    deployment.until_state("following", f"prod-to-{KEEPER}")
    found = subprocess.run(
        [sys.executable, "-m", "db_migration", "status", "--config", str(path), "--json"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=AGENT_STEP,
    )  # fmt: skip
    state = json.loads(found.stdout)
    assert state["epoch"]["database"] == "prod"
    assert [(feed["state"], feed["live"]) for feed in state["feeds"]] == [
        ("following", True),
        ("waiting", False),
    ]
    path.write_text(path.read_text().replace('"poll_seconds": 0.1', '"poll_seconds": 0.2'))
    assert agent.wait(AGENT_STEP) == 0
    assert "the configuration has changed" in (deployment.folder / "agent.log").read_text()


def test_a_grant_that_comes_between_is_no_error(deployment: Deployment) -> None:
    """PostgreSQL fails one of two that change the row of a database at once."""
    server = deployment.config().servers[0]
    closing = "SELECT FROM pg_stat_activity WHERE query ~ 'ALLOW_CONNECTIONS' AND wait_event = %s"
    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(deployment.keeper.dsn("postgres")) as granting,
        servers.control(server).connect() as connection,
    ):
        granting.execute("GRANT TEMPORARY ON DATABASE airbyte_mirror TO PUBLIC")
        closed = pool.submit(promotion.allow, connection, ["airbyte_mirror"], on=False)
        wait_for(lambda: deployment.keeper.sql(closing, "transactionid") != [], FOLLOW)
        granting.commit()
        closed.result(AGENT_STEP)
    query = "SELECT datallowconn FROM pg_database WHERE datname = 'airbyte_mirror'"
    assert deployment.keeper.sql(query) == [(False,)]
