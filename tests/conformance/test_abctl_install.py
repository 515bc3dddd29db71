"""abctl with a node that is a local process: install, upgrade, traps, uninstall."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.conformance.abctl_host import Host
from tests.conformance.harness import CallFailedError, call, eventually, free_port

if TYPE_CHECKING:
    pass

BOOTLOADER_FAILED = "airbyte chart: bootloader failed"


def init_rows(host: Host) -> int:
    query = "SELECT count(*) FROM airbyte_metadata WHERE key LIKE '%_init_db'"
    return int(host.airbyte.one(query))


def test_install_again_and_uninstall(host: Host) -> None:
    """2.2, 2.3: standby install; a re-run is an upgrade that runs the bootloader again and keeps
    the Secret; a port change is ignored; uninstall keeps data/ and loses the Secrets.
    """
    done = host.install()
    assert done.returncode == 0, done.stdout
    assert init_rows(host) == 1
    health = call(f"http://127.0.0.1:{host.port}/api/v1/health")
    assert health["available"]
    assert host.deployment("worker")["spec"]["replicas"] == 0
    assert "readyReplicas" not in host.deployment("worker")["status"]
    assert host.deployment("server")["status"]["readyReplicas"] == 1
    secret = host.secret()
    assert set(secret) == {
        "instance-admin-password",
        "instance-admin-client-id",
        "instance-admin-client-secret",
        "jwt-signature-secret",
        "dataplane-client-id",
        "dataplane-client-secret",
    }
    kept, host.port = host.port, free_port()
    again = host.install()
    host.port = kept
    assert again.returncode == 0, again.stdout
    assert "Release: 2" in again.stdout
    assert "differs from the" in again.stdout
    assert init_rows(host) == 2
    assert host.secret() == secret
    credentials = host.abctl("credentials")
    assert f"Password: {secret['instance-admin-password']}" in credentials.stdout
    assert host.abctl("uninstall").returncode == 0
    data = host.home / ".airbyte/abctl/data"
    assert (data / "airbyte-volume-db").is_dir()
    assert (data / "airbyte-local-pv").is_dir()
    fresh = host.install()
    assert fresh.returncode == 0, fresh.stdout
    assert host.secret()["instance-admin-password"] != secret["instance-admin-password"]


def test_server_at_zero_is_exit_1_though_applied(host: Host) -> None:
    """2.3 step 7: everything is applied, then `/` is not 200 and abctl ends with 1."""
    host.values["server"] = {"replicaCount": 0}
    done = host.install()
    assert done.returncode == 1
    assert "browser liveness check failed" in done.stdout
    assert init_rows(host) == 1
    assert "Status: deployed" in host.abctl("status").stdout


def test_missing_secret_key(host: Host) -> None:
    """3.1, 3.4: a key that the Secret lacks keeps the pod in CreateContainerConfigError."""
    host.values["airbyte-bootloader"] = {"enabled": False}
    host.airbyte.boot("1.8.5", LAB_AUTH_SECRET_FILE=str(host.home / "auth.json"))
    host.helm_seconds = "6"
    done = host.install("1.8.5")
    assert done.returncode == 1
    assert "deadline exceeded" in done.stdout
    assert "CreateContainerConfigError" in host.reasons()


def test_bootloader_failure_is_recognized_in_v1_only(host: Host) -> None:
    """2.3: `bootloader failed` is said for the v1 pod's name, not for v2's."""
    host.secrets["airbyte-config-secrets"]["database-password"] = "wrong"
    first = host.install("1.8.5")
    assert (first.returncode, BOOTLOADER_FAILED in first.stdout) == (1, True)
    second = host.install("2.0.17")
    assert (second.returncode, BOOTLOADER_FAILED in second.stdout) == (1, False)


def test_a_given_secret_is_replaced_whole(host: Host) -> None:
    """3.5: --secret is a full update: keys it leaves out are generated anew."""
    mine = {
        "instance-admin-password": "mine",
        "instance-admin-client-id": "me",
        "instance-admin-client-secret": "my-secret",
    }
    host.secrets["airbyte-auth-secrets"] = mine
    assert host.install().returncode == 0
    first = host.secret()
    assert first["instance-admin-password"] == "mine"
    token = call(
        f"http://127.0.0.1:{host.port}/api/v1/applications/token",
        {"client_id": "me", "client_secret": "my-secret"},
    )["access_token"]
    listed = call(
        f"http://127.0.0.1:{host.port}/api/v1/workspaces/list",
        {},
        {"Authorization": f"Bearer {token}"},
    )
    assert len(listed["workspaces"]) == 1
    with pytest.raises(CallFailedError) as refused:
        call(f"http://127.0.0.1:{host.port}/api/v1/workspaces/list", {})
    assert refused.value.status == 401
    assert host.install().returncode == 0
    assert host.secret()["dataplane-client-id"] != first["dataplane-client-id"]


def test_v2_syncs_through_the_launcher(host: Host) -> None:
    """3.3, 6: the worker queues a workload; only a launcher of its group runs it."""
    world = host.airbyte.world()
    host.values["worker"] = {"replicaCount": 1}
    host.values["global"]["auth"]["enabled"] = False
    done = host.install("2.0.17")
    assert done.returncode == 0, done.stdout
    api = f"http://127.0.0.1:{host.port}"
    body = {"connections": 1, "jobs": 0, "payload_bytes": 1, "interval_minutes": 1000}
    call(f"{api}/lab/seed", body)
    pending = "SELECT status::text FROM workload"
    eventually(lambda: host.airbyte.sql(pending) == [{"status": "pending"}], "a queued workload")
    assert call(f"{world.url}/ledger/verdict")["records"] == 0
    host.kubectl("scale", "deployment", "airbyte-abctl-workload-launcher", "--replicas=1")
    eventually(lambda: call(f"{world.url}/ledger/verdict")["records"] == 25, "the launcher's run")
    state = "SELECT state->>'cursor' AS at FROM state"
    eventually(lambda: host.airbyte.sql(state) == [{"at": "25"}], "the cursor")


def test_status_and_uninstall_without_a_cluster(host: Host) -> None:
    """2.2: both end with 0 when nothing is installed."""
    status = host.abctl("status")
    assert status.returncode == 0
    assert "does not appear to be installed" in status.stdout
    assert host.abctl("uninstall").returncode == 0
    assert host.abctl("deployments").returncode == 1
    assert host.abctl("credentials").returncode == 0


def test_stopped_node_is_exit_1(host: Host) -> None:
    """2.2, 2.3: a stopped node container is exit 1 for status and install."""
    folder = host.home / ".airbyte/abctl/lab-node"
    folder.mkdir(parents=True)
    (folder / "node.json").write_text(json.dumps({"pid": 2**22 + 1, "port": host.port}))
    for words in (["status"], ["install", "--chart-version", "1.8.5"]):
        done = host.abctl(*words)
        assert done.returncode == 1
        assert "is not running" in done.stdout


@pytest.mark.parametrize(
    "words", [["--host", "198.51.100.12"], ["--host", "Example.com"], ["--volume", "nope"]]
)
def test_bad_host_and_volume(host: Host, words: list[str]) -> None:
    """2.2: --host is a lower-case FQDN, no address; --volume is HOST:GUEST."""
    assert host.abctl("install", "--chart-version", "1.8.5", *words).returncode == 1


@pytest.mark.parametrize(
    "words",
    [["delete", "pod", "x"], ["get", "services"], ["get", "pods", "-o", "yaml"], ["apply"]],
)
def test_kubectl_is_strict(host: Host, words: list[str]) -> None:
    """Contract, part 5: only the forms it names."""
    assert host.kubectl(*words).returncode == 1


def test_database_is_reached_only_by_its_roles(host: Host) -> None:
    """3.2: standby with temporal=1, server=1 makes Temporal's databases on the same server."""
    assert host.install().returncode == 0
    with psycopg.connect(host.airbyte.postgres.dsn("postgres")) as connection:
        found = connection.execute(
            "SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = %s",
            [host.airbyte.database],
        ).fetchall()
    assert ("airbyte-worker",) not in found
    assert ("airbyte-cron",) not in found


def test_a_changed_secret_restarts_no_pod(host: Host) -> None:
    """2.2: charts carry no checksum annotation, so pods keep what they were started with."""
    assert host.install().returncode == 0
    before = set(host.pods())
    host.secrets["airbyte-config-secrets"]["unused"] = "new"
    assert host.install().returncode == 0
    assert set(host.pods()) == before
    assert host.abctl("deployments", "--restart", "airbyte-abctl-server").returncode == 0
    assert set(host.pods()) != before
