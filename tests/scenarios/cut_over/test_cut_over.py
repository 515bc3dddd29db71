"""The whole cut-over under load, and what follows it."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest

from db_migration.cutover.cutover import Mode
from db_migration.errors import BlockedError
from db_migration.sides import hosts
from tests.support.deployment import INTERMEDIARY, KEEPER, NEW, Deployment, enter
from tests.support.fix_postgres import wait_for
from tests.support.timeouts import FACTOR, FOLLOW

DATABASE_MOVES = 10 * FACTOR
AFTERWARDS = f"{INTERMEDIARY}-to-{KEEPER}"
MIRROR = "airbyte_mirror"


def numbers(deployment: Deployment) -> set[int]:
    """Read the ids of all jobs in the new database."""
    found = deployment.intermediary.sql("SELECT id FROM jobs", database="airbyte")
    return {number for (number,) in found}


def test_under_load_no_acknowledged_row_is_missing(following: Deployment) -> None:
    assert following.cut_over(Mode.HOLD)["ready"] is True
    assert "verify exactly" in following.cut_over(Mode.DRY_RUN)["steps"]
    report = following.cut_over()
    wait_for(lambda: len(following.acknowledged("abctl")) > 50, FOLLOW)
    following.until_state("following", AFTERWARDS)
    following.until_state("waiting", f"prod-to-{KEEPER}", f"prod-to-{INTERMEDIARY}")
    following.end()
    before, after = following.acknowledged("compose"), following.acknowledged("abctl")
    assert set(before) | set(after) <= numbers(following)
    assert min(after) > max(before), "a number was given twice, or both sides wrote at once"
    following.until_equal((following.intermediary, "airbyte"), (following.keeper, "airbyte_mirror"))

    assert report["database_seconds"] < DATABASE_MOVES
    assert report["verified"][INTERMEDIARY]["rows"] >= len(before)
    assert report["connections"]["scheduled"] == report["connections"]["active"] > 0
    again = following.cut_over()
    assert again["state"] == "already"
    assert again["phases"] == report["phases"]
    assert following.cut_over(Mode.ABORT)["state"] == "already"


def test_nobody_may_leave_while_abctl_is_prod(following: Deployment) -> None:
    assert following.cut_over(Mode.LEAVE)["state"] == "free"
    following.cut_over()
    with pytest.raises(BlockedError, match=f"{NEW} is prod .*active-{INTERMEDIARY}") as refused:
        following.cut_over(Mode.LEAVE)
    given_up = refused.value.way_out.split("hostctl ")[1].split("`")[0]
    assert given_up == f"activate {NEW} 1 stopped"
    host = following.host(following.config().instances[1])
    host.run(given_up)
    assert following.cut_over(Mode.LEAVE)["state"] == "free"
    assert hosts.status(host).instance(NEW) == hosts.InstanceStatus(
        name=NEW, epoch=1, rendering="stopped", running=False
    )
    assert following.cut_over()["summary"].startswith("already cut over: epoch 1")


def test_installed_anew_the_new_prod_is_activated_again(following: Deployment) -> None:
    following.cut_over()
    host = following.host(following.config().instances[1])
    host.run(f"activate {NEW} 1 prepared")
    assert "is active on intermediary again" in following.cut_over()["summary"]
    found = hosts.status(host).instance(NEW)
    assert found is not None
    assert found.rendering == f"active-{INTERMEDIARY}"
    assert following.cut_over()["summary"].startswith("already cut over: epoch 1")


def test_old_side_stays_fenced_whoever_starts_compose(following: Deployment) -> None:
    following.cut_over()
    before = following.acknowledged("compose")
    (following.folder / "compose.runs").touch()
    following.prod.restart()
    with pytest.raises(psycopg.OperationalError, match="not currently accepting connections"):
        following.prod.sql("SELECT 1", database="airbyte")
    assert following.acknowledged("compose") == before


def test_mirror_is_made_anew_when_the_new_prod_migrates_its_schema(following: Deployment) -> None:
    following.cut_over()
    wait_for(lambda: following.acknowledged("abctl"), FOLLOW)
    following.until_state("following", AFTERWARDS)
    change = "SET ROLE airbyte; ALTER TABLE jobs ADD COLUMN by_the_bootloader int DEFAULT 7"
    following.intermediary.sql(change, database="airbyte")
    following.intermediary.sql("SET ROLE airbyte; CREATE TABLE new (id int)", database="airbyte")
    query = "SELECT count(*) FROM jobs WHERE by_the_bootloader = 7"

    def arrived() -> bool:
        try:
            found = following.keeper.sql(query, database="airbyte_mirror")
        except psycopg.Error:
            return False
        return bool(found[0][0])

    wait_for(arrived, FOLLOW)
    following.until_state("following", AFTERWARDS)
    (following.folder / "abctl.runs").unlink()
    following.until_equal((following.intermediary, "airbyte"), (following.keeper, "airbyte_mirror"))


UNCHECKED = """
CREATE TABLE old_rows (id int PRIMARY KEY, job bigint);
INSERT INTO old_rows VALUES (-7, -7);
ALTER TABLE old_rows ADD CONSTRAINT young CHECK (id > 3) NOT VALID;
ALTER TABLE old_rows ADD CONSTRAINT "of a job" FOREIGN KEY (job) REFERENCES jobs NOT VALID;
"""
CONSTRAINTS = """
SELECT conname, convalidated FROM pg_constraint WHERE conname IN ('young', 'of a job') ORDER BY 1
"""


def test_constraints_that_old_rows_do_not_meet_stay_unchecked(deployment: Deployment) -> None:
    deployment.prod.sql(UNCHECKED, database="airbyte")
    deployment.start_agents()
    deployment.start_writers()
    deployment.until_following()
    deployment.cut_over()
    wait_for(lambda: deployment.acknowledged("abctl"), FOLLOW)
    deployment.until_state("following", AFTERWARDS)
    unchecked = [("of a job", False), ("young", False)]
    for server, database in ((deployment.intermediary, "airbyte"), (deployment.keeper, MIRROR)):
        assert server.sql(CONSTRAINTS, database=database) == unchecked
    deployment.intermediary.sql("INSERT INTO old_rows VALUES (4, 1)", database="airbyte")
    deployment.intermediary.sql("DELETE FROM old_rows WHERE id < 0", database="airbyte")
    deployment.end()
    deployment.until_equal((deployment.intermediary, "airbyte"), (deployment.keeper, MIRROR))


def test_each_server_lets_one_airbyte_in(following: Deployment) -> None:
    following.cut_over()

    def enters(name: str, role: str) -> bool:
        try:
            with enter(following.servers[name], role) as connection:
                who = connection.execute("SELECT session_user, current_user").fetchone()
                return who == (role, "airbyte")
        except psycopg.OperationalError:
            return False

    wait_for(lambda: enters(KEEPER, "airbyte_replica"), FOLLOW)
    assert enters(INTERMEDIARY, "airbyte_prod")
    assert not enters(INTERMEDIARY, "airbyte_replica")
    assert not enters(KEEPER, "airbyte_prod")


def test_two_at_once_are_one(following: Deployment) -> None:
    found: list[Any] = []

    def cut_over() -> None:
        try:
            found.append(following.cut_over()["state"])
        except BlockedError as error:
            found.append(error.found)

    threads = [threading.Thread(target=cut_over) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "done" in found
    assert set(found) <= {"done", "already", "another cut-over is under way"}
    records = "SELECT epoch, airbyte FROM migration.epoch"
    for server in following.servers.values():
        assert server.sql(records, database="airbyte_migration") == [(1, NEW)]
