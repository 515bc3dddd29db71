"""An Airbyte that is installed and does nothing, what wakes it, and what stops it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.abctl_host import Host

if TYPE_CHECKING:
    pass

NOTHING = {
    key: {"replicaCount": 0}
    for names in (
        ("server", "temporal", "worker", "cron"),
        ("workload-launcher", "workload-api-server", "connector-builder-server"),
        ("workloadLauncher", "workloadApiServer", "connectorBuilderServer"),
    )
    for key in names
} | {key: {"enabled": False} for key in ("airbyte-bootloader", "airbyteBootloader")}
MINE = {
    "instance-admin-password": "mine",
    "instance-admin-client-id": "me",
    "instance-admin-client-secret": "my-secret",
}


@pytest.mark.parametrize("chart", ["1.8.5", "2.0.17"])
def test_prepared_runs_and_writes_nothing_until_it_is_woken(host: Host, chart: str) -> None:
    """2.3, 3.4: exit 1 after everything was applied; the given Secret is all there is."""
    host.secrets["airbyte-auth-secrets"] = MINE
    awake = host.values
    host.values = awake | NOTHING
    done = host.install(chart)
    assert done.returncode == 1
    assert done.stdout.index("Installed Helm Chart") < done.stdout.index("Ingress created")
    assert done.stdout.index("Ingress created") < done.stdout.index("liveness check failed")
    assert host.pods() == {}
    assert host.airbyte.one("SELECT to_regclass('airbyte_metadata') IS NULL")
    assert host.secret() == MINE
    host.values = awake
    del host.secrets["airbyte-auth-secrets"]
    woken = host.install(chart)
    assert woken.returncode == 0, woken.stdout
    assert "Updated existing Ingress" in woken.stdout
    assert host.secret().items() > MINE.items()


def test_a_changed_address_restarts_no_pod(host: Host) -> None:
    """2.2: the database's address is in a ConfigMap, and pods carry no checksum of it."""
    host.values["global"]["database"]["host"] = "127.0.0.1"
    assert host.install().returncode == 0
    before = set(host.pods())
    host.values["global"]["database"]["host"] = "localhost"
    assert host.install().returncode == 0
    assert set(host.pods()) == before
    assert host.kubectl("scale", "deployment", "--all", "--replicas=0").returncode == 0
    assert host.kubectl("delete", "pods", "--all", "--timeout=60s").returncode == 0
    assert host.pods() == {}
    assert host.install().returncode == 0
    assert host.deployment("server")["status"]["readyReplicas"] == 1


def test_kubectl_refuses_what_kubernetes_would_not_do(host: Host) -> None:
    """No object to scale is an error; a pod that its Deployment wants comes again."""
    host.values |= NOTHING
    host.install()
    assert "No resources found" in host.kubectl("delete", "pods", "--all").stdout
    host.kubectl("scale", "deployment", "airbyte-abctl-temporal", "--replicas=1")
    refused = host.kubectl("delete", "pods", "--all")
    assert refused.returncode == 1
    assert "every Deployment at 0" in refused.stderr
    other = host.run("kubectl", "-n", "default", "scale", "deployment", "--all", "--replicas=0")
    assert (other.returncode, other.stderr) == (1, "error: no objects passed to scale\n")
