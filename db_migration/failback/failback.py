"""Failback: a failover's machinery with another decision, and without a death."""

from __future__ import annotations

from functools import partial

from db_migration.config import Config
from db_migration.context import over_ssh
from db_migration.errors import ConfigError
from db_migration.failback import plan
from db_migration.failover.failover import Failover
from db_migration.failover.look import InstanceHost


def failback(config: Config, *, instance_host: InstanceHost = over_ssh) -> Failover:
    """Observe, and decide how prod gets to where the cut-over leads; `run` carries it out.

    Raises BlockedError while something does not answer or is not finished, ConfigError where no
    cut-over is configured.
    """
    home = config.cutover
    if home is None:
        raise ConfigError(config.origin, ["`failback` needs `cutover`: only v2 has a home"])
    decide = partial(plan.decide, database=home.database, airbyte=home.airbyte)
    return Failover(config, instance_host=instance_host, decide=decide)
