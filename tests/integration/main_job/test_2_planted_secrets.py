"""No secret of the stack file is anywhere in clear, but where a process needs it to work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from tests.integration.main_job.conftest import ROOT, Deployment
from tests.support.secrets_search import (
    Allowed,
    Host,
    Place,
    containers,
    files,
    processes,
    search,
    stacks,
)

COMPOSE = (
    "compose gives every Airbyte service its database password as environment: facts 1.2;"
    " prod runs unchanged in v1"
)
IMAGE = (
    "the official PostgreSQL image's entrypoint exports what it read from POSTGRES_PASSWORD_FILE"
    " to its own server process; the lab's image does the same"
)
ALLOWED = [
    Allowed("environ:core-worker-01/postgres/*", IMAGE, frozenset({"coreWorkerAdminPassword"})),
    Allowed("inspect:prod/airbyte-*", COMPOSE),
    Allowed("environ:prod/*", COMPOSE),
    Allowed("environ:replica/*", "pods take their Secrets as environment: facts 3.1"),
]


def planted(deployment: Deployment) -> dict[str, str]:
    """Every secret setting of the committed stack file, in clear."""
    config = yaml.safe_load((ROOT / "Pulumi.v1.yaml").read_text())["config"]
    names = [key for key, value in config.items() if isinstance(value, dict) and "secure" in value]
    assert names
    found = {}
    for name in names:
        key = name.partition(":")[2]
        done = deployment.run("pulumi", "config", "get", key, "--stack", "v1")
        deployment.logs.pop()
        found[key] = done.stdout.strip()
    assert len(set(found.values())) == len(found), "each setting needs a secret of its own"
    return found


def places(deployment: Deployment) -> Iterator[Place]:
    """Whatever the deployment left behind, here and on its hosts."""
    lab = deployment.lab
    yield from files(lab.spec.pulumi_state)
    yield from files(Path(lab.env["PULUMI_HOME"]), "logs/**/*")
    yield from stacks(ROOT, lab.env, ["v1"])
    for number, text in enumerate(deployment.logs):
        yield Place(f"printed:{number}", text.encode())
    for name in ("prod", "replica", "core-worker-01"):
        host = Host(name, ("docker", "exec", lab.spec.container(lab.hosts[name])))
        yield from containers(host)
        yield from processes(host)


def test_no_secret_is_found_in_clear(v1: Deployment) -> None:
    found = search(places(v1), planted(v1), ALLOWED)
    assert not found.hits, str(found)
    assert not found.unused, str(found)


def test_the_search_finds_what_is_there(v1: Deployment) -> None:
    secrets = planted(v1)
    leak = [Place("printed:leak", f"password={secrets['migrationPassword']}".encode())]
    assert [hit.secret for hit in search(leak, secrets).hits] == ["migrationPassword"]


def test_outputs_hold_no_secret_even_marked(v1: Deployment) -> None:
    outputs = v1.outputs("v1")
    assert not re.search(r"\[secret\]", str(outputs))
