"""Every failure before the first write on the new side puts compose back as it was."""

from __future__ import annotations

import pytest

from db_migration.cutover.cutover import Mode
from db_migration.errors import BlockedError, MigrationError
from db_migration.sides import epoch
from db_migration.sides.epoch import Epoch
from tests.support.deployment import INTERMEDIARY, KEEPER, REPLICA, Deployment, Proven
from tests.support.fix_postgres import wait_for
from tests.support.timeouts import FOLLOW


def assert_compose_is_back(deployment: Deployment) -> None:
    before = len(deployment.acknowledged("compose"))
    wait_for(lambda: len(deployment.acknowledged("compose")) > before + 10, FOLLOW)
    assert deployment.acknowledged("abctl") == []
    deployment.until_following()


def assert_a_later_one_works(deployment: Deployment) -> None:
    assert deployment.cut_over()["state"] == "done"
    wait_for(lambda: len(deployment.acknowledged("abctl")) > 10, FOLLOW)
    deployment.until_state("following", f"{INTERMEDIARY}-to-{KEEPER}")
    deployment.end()
    found = deployment.intermediary.sql("SELECT id FROM jobs", database="airbyte")
    assert set(deployment.acknowledged("compose")) <= {number for (number,) in found}


def test_job_that_does_not_drain(following: Deployment) -> None:
    query = "INSERT INTO jobs (scope, status) VALUES ('the-busy-connection', 'running')"
    following.prod.sql(query, database="airbyte")
    with pytest.raises(BlockedError, match="the-busy-connection"):
        following.cut_over()
    assert_compose_is_back(following)
    following.prod.sql("UPDATE jobs SET status = 'succeeded'", database="airbyte")
    assert_a_later_one_works(following)


def test_verification_that_fails(following: Deployment) -> None:
    """Somebody writes to the mirror after the last verification."""
    following.keeper.sql("DELETE FROM attempts WHERE id = 7", database="airbyte_mirror")
    with pytest.raises(BlockedError, match=r"attempts: row .* missing on the mirror"):
        following.cut_over()
    assert_compose_is_back(following)
    row = "INSERT INTO attempts (id, job_id, output) VALUES (7, 7, '{}')"
    following.keeper.sql(f"SET ROLE airbyte; {row}", database="airbyte_mirror")
    assert_a_later_one_works(following)


def test_activation_that_fails(following: Deployment) -> None:
    flag = following.folder / "no-activation"
    flag.touch()
    with pytest.raises(BlockedError, match="helm gave up"):
        following.cut_over()
    assert_compose_is_back(following)
    records = "SELECT epoch, database, reason FROM migration.epoch ORDER BY 1"
    for server in following.servers.values():
        assert server.sql(records, database="airbyte_migration") == [
            (1, INTERMEDIARY, "cut-over"),
            (2, "prod", "roll-back"),
        ]
    flag.unlink()
    assert_a_later_one_works(following)


def test_new_prod_that_does_not_answer_in_the_end(following: Deployment) -> None:
    """Its host is away when it should be activated, and back when compose is to be started."""
    away = following.folder / "unreachable"
    following.when_said = {
        "activate the new Airbyte ...": away.touch,
        "back: shut out the new Airbyte ...": away.unlink,
    }
    with pytest.raises(BlockedError, match="host prod does not answer"):
        following.cut_over()
    assert_compose_is_back(following)


@pytest.mark.parametrize("server", [INTERMEDIARY, KEEPER])
def test_server_that_dies_before_the_promotion(following: Deployment, server: str) -> None:
    """Without the keeper, which holds the journal, nothing goes on, forwards or back."""
    following.when_said = {"verify exactly ...": following.servers[server].kill}
    with pytest.raises(MigrationError):
        following.cut_over()
    assert (following.folder / "compose.runs").exists() is (server == INTERMEDIARY)
    following.when_said = {}
    following.servers[server].start()
    assert following.cut_over(Mode.ABORT)["state"] == "aborted"
    assert_compose_is_back(following)
    assert_a_later_one_works(following)


def test_after_the_first_write_there_is_only_forwards(following: Deployment) -> None:
    following.proof = Proven(scheduled=5, unscheduled={"c1": "its source is gone"})
    with pytest.raises(BlockedError, match="c1: its source is gone"):
        following.cut_over()
    wait_for(lambda: following.acknowledged("abctl"), FOLLOW)
    with pytest.raises(BlockedError, match="has taken writes"):
        following.cut_over(Mode.ABORT)
    assert not (following.folder / "compose.runs").exists()
    following.proof = Proven()
    assert following.cut_over()["state"] == "done"
    before = len(following.acknowledged("abctl"))
    wait_for(lambda: len(following.acknowledged("abctl")) > before, FOLLOW)


def test_failover_overtakes_a_cut_over_that_died(following: Deployment) -> None:
    def die() -> None:
        raise KeyboardInterrupt

    following.when_said = {"promote the mirror ...": die}
    with pytest.raises(KeyboardInterrupt):
        following.cut_over()
    following.when_said = {}
    taken = Epoch(1, KEEPER, REPLICA, "failover")
    epoch.advance(following.config(), taken, [KEEPER, INTERMEDIARY])
    assert following.cut_over()["state"] == "overtaken"
    assert following.cut_over()["state"] == "already"
    names = "SELECT FROM pg_database WHERE datname ~ '_before_'"
    assert following.intermediary.sql(names) == []
    assert not (following.folder / "compose.runs").exists()
    following.until_state("waiting", f"prod-to-{INTERMEDIARY}")


def test_closed_gates_are_named_and_nothing_is_touched(deployment: Deployment) -> None:
    (deployment.folder / "instances.json").write_text("{}")
    found = deployment.cut_over(Mode.HOLD)
    assert found["ready"] is False
    closed = {gate["name"]: gate for gate in found["gates"] if not gate["ok"]}
    assert "airbyte-prod-abctl is prepared" in closed
    assert f"prod-to-{KEEPER} follows" in closed
    assert all(gate["way_out"] for gate in closed.values())
    with pytest.raises(BlockedError, match="not installed"):
        deployment.cut_over()
    assert (deployment.folder / "compose.runs").exists()
    assert deployment.cut_over(Mode.ABORT)["state"] == "none"
