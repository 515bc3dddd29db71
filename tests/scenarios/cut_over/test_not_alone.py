"""Somebody else changes sides, or tries something, while a cut-over is under way."""

from __future__ import annotations

from pathlib import Path

import pytest

from db_migration.config import Config
from db_migration.config_access import HostControlConfig
from db_migration.errors import BlockedError, MigrationError
from db_migration.failover.failover import Failover
from db_migration.rebuild.rebuild import fence_returned
from db_migration.sides.epoch import Epoch
from tests.scenarios.cut_over.test_failures import assert_compose_is_back
from tests.support.deployment import INTERMEDIARY, NEW, Deployment


def with_hosts(config: Config) -> Config:
    """Have the hosts asked, as in a real configuration; what answers is the deployment's."""
    unused = HostControlConfig(address="", key_file=Path(), known_hosts_file=Path())
    known = [one.model_copy(update={"host_control": unused}) for one in config.instances]
    return config.model_copy(update={"instances": tuple(known)})


def fail_over(deployment: Deployment) -> str:
    """Return what a failover says that somebody types now."""
    try:
        failover = Failover(with_hosts(deployment.config()), instance_host=deployment.host)
        return failover.run().plan.why
    except MigrationError as error:
        return error.found


def test_a_failover_lets_nobody_in_while_compose_is_put_back(following: Deployment) -> None:
    """Both sides were just found equal, and the new one is started no more."""
    no_activation = following.folder / "no-activation"
    no_activation.touch()
    said: list[str] = []

    def meanwhile() -> None:
        no_activation.unlink()
        said.append(fail_over(following))

    following.when_said = {"back: epoch of the roll-back ...": meanwhile}
    with pytest.raises(BlockedError, match="helm gave up"):
        following.cut_over()
    assert "at work on" in said[0]
    assert_compose_is_back(following)


def test_who_is_put_back_is_not_stopped_by_the_watch(following: Deployment) -> None:
    """It has read the epoch a moment ago, and the host's answer shows what has begun since."""
    (following.folder / "no-activation").touch()
    said: list[str] = []
    config = with_hosts(following.config())
    before = Epoch(1, INTERMEDIARY, NEW, "cut-over")

    def meanwhile() -> None:
        try:
            said.extend(fence_returned(config, before, following.host))
        except BlockedError as error:
            said.append(error.found)

    following.when_said = {"back: put the new Airbyte back to `prepared` ...": meanwhile}
    with pytest.raises(BlockedError, match="helm gave up"):
        following.cut_over()
    assert "at work on" in said[0]
    meanwhile()
    assert said[1:] == ["epoch 2 was recorded meanwhile"]
    assert_compose_is_back(following)
