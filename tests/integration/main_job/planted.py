"""Where a deployment's secrets could have leaked to, for the searches of v1 and of v2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from tests.integration.main_job.deployment import ROOT, Deployment
from tests.support.secrets_search import (
    Allowed,
    Host,
    Place,
    containers,
    files,
    host_files,
    processes,
    stacks,
    tables,
)

COMPOSE = (
    "compose gives every Airbyte service its database password as environment: facts 1.2;"
    " prod runs unchanged in v1"
)
IMAGE = (
    "the official PostgreSQL image's entrypoint exports what it read from POSTGRES_PASSWORD_FILE"
    " to its own server process; the lab's image does the same"
)
PODS = "pods take their Secrets as environment: facts 3.1"
STATE = "/var/lib/airbyte-migration"
KEPT = [
    Allowed(
        f"hostfile:*:0600:{STATE}/db-migration/secrets/*",
        "the DB Migration Script reads its passwords from files of root alone",
    ),
    Allowed(
        f"hostfile:*:0600:{STATE}/airbyte-*",
        "abctl takes Secrets as files; hostctl applies them again at any epoch",
    ),
    Allowed(
        "table:*/pg_catalog.pg_subscription",
        "PostgreSQL keeps a subscription's connection; superusers alone may read it",
    ),
    Allowed("inspect:prod/airbyte-*", COMPOSE),
    Allowed("environ:prod/*", COMPOSE),
    Allowed("environ:replica/*", PODS),
]
"""What v1 and v2 may keep."""
FIRST_START = Allowed(
    "environ:core-worker-01/postgres/*", IMAGE, frozenset({"coreWorkerAdminPassword"})
)
"""Until the server's container is started again."""


def planted(deployment: Deployment, stack: str) -> dict[str, str]:
    """Every secret setting of the committed stack file, in clear."""
    config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    names = [key for key, value in config.items() if isinstance(value, dict) and "secure" in value]
    assert names
    found = {}
    for name in names:
        key = name.partition(":")[2]
        done = deployment.run("pulumi", "config", "get", key, "--stack", stack)
        deployment.logs.pop()
        found[key] = done.stdout.strip()
    assert len(set(found.values())) == len(found), "each setting needs a secret of its own"
    return found


def places(deployment: Deployment, stack: str, hosts: tuple[str, ...]) -> Iterator[Place]:
    """Whatever the deployment left behind, here and on its hosts."""
    lab = deployment.lab
    yield from files(lab.spec.pulumi_state)
    yield from files(Path(lab.env["PULUMI_HOME"]), "logs/**/*")
    yield from stacks(ROOT, lab.env, [stack])
    for number, text in enumerate(deployment.logs):
        yield Place(f"printed:{number}", text.encode())
    for name in hosts:
        host = Host(name, ("docker", "exec", lab.spec.container(lab.hosts[name])))
        yield from containers(host)
        yield from processes(host)
        yield from host_files(host)


def journals(deployment: Deployment, server: str) -> Iterator[Place]:
    """What the script keeps in a server's control database, and what the catalog shows."""
    lab = deployment.lab
    host = Host(server, ("docker", "exec", lab.spec.container(lab.hosts[server])))
    yield from tables(host, f"{server}-postgres", ["airbyte_migration"], "postgres")
