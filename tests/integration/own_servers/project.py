"""The owner's copy of the project: own stack files, own backend, the program as it is."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.integration.main_job.deployment import AGENT, ROOT, Deployment
from tests.integration.own_servers import airbyte_by_hand, postgres_by_hand
from tests.support.fix_lab import Lab

NAMESPACE = "airbyte-migration"
LINKED = (".venv", "__main__.py", "airbyte", "components", "stages")
SECRETS = {
    "prodDatabasePassword": airbyte_by_hand.DATABASE_PASSWORD,
    "coreWorkerAdminPassword": postgres_by_hand.ADMIN_PASSWORD,
    "airbyteDatabasePassword": "own-airbyte-role",
    "migrationPassword": "own-migration-role",
    "replicaAdminPassword": "own-replica-admin",
    "replicaClientSecret": "own-replica-client-secret",
}


@dataclass
class Project(Deployment):
    """The program run as an owner of servers runs it, from a folder of theirs."""

    @property
    def env(self) -> dict[str, str]:
        """That of the lab, on a backend of the folder's own."""
        return {
            **self.lab.env,
            "PULUMI_BACKEND_URL": f"file://{self.folder}/state",
            "STAGECTL_BACKUPS": f"{self.folder}/backups",
        }

    def refused(self, stack: str) -> str:
        """`pulumi up` that must fail; what it said at its end, after all progress."""
        done = self.run("pulumi", "up", "--yes", "--non-interactive", "--stack", stack, ok=False)
        assert done.returncode != 0, done.stdout
        return (done.stdout + done.stderr).rpartition("Diagnostics:")[2]

    def destroy(self, stack: str) -> None:
        """`pulumi destroy --exclude-protected`."""
        self.run(
            *("pulumi", "destroy", "--yes", "--non-interactive", "--exclude-protected"),
            *("--stack", stack),
        )

    def set(self, stack: str, key: str, value: str) -> None:
        """`pulumi config set --path`."""
        path = f"{NAMESPACE}:{key}"
        self.run("pulumi", "config", "set", "--stack", stack, "--path", path, value)

    def seal(self, stack: str, key: str, value: str) -> None:
        """`pulumi config set --secret`, the value on stdin as its help says."""
        self.run("pulumi", "config", "set", "--secret", "--stack", stack, key, stdin=value)

    def agent(self, *arguments: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the DB Migration Script's command line on core-worker-01."""
        line = f"docker exec {AGENT} {AGENT} {' '.join(arguments)}"
        return self.lab.ssh("core-worker-01", line, check=ok)


def make(lab: Lab, folder: Path) -> Project:
    """Lay out the folder: the program by links, the stack files of this owner."""
    (folder / "state").mkdir(parents=True)
    shutil.copy(ROOT / "Pulumi.yaml", folder)
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    for stack, settings in (("v0", _v0(lab)), ("v1", _v1(lab))):
        document = {
            "config": {
                "pulumi:disable-default-providers": ["*"],
                **{f"{NAMESPACE}:{key}": value for key, value in settings.items()},
            }
        }
        (folder / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump(document))
    return Project(lab, folder=folder)


def _host(lab: Lab, name: str) -> dict[str, Any]:
    return {
        "address": "127.0.0.1",
        "sshPort": lab.port(name, 22),
        "privateAddress": lab.spec.address(lab.hosts[name]),
    }


def _v0(lab: Lab) -> dict[str, Any]:
    """An Airbyte that runs already needs no images and no password in v0."""
    return {
        "stage": "v0",
        "deployment": "data-team",
        "operator": {
            "identityFile": str(lab.spec.operator_key),
            "knownHostsFile": str(lab.spec.known_hosts),
        },
        "hosts": {"prod": _host(lab, "prod")},
        "prod": {"mode": "adopt", "host": "prod", "version": airbyte_by_hand.VERSION},
    }


def _v1(lab: Lab) -> dict[str, Any]:
    feed = {
        "name": "prod-to-core-worker-01",
        "source": "prod",
        "target": "core-worker-01",
        "mode": "logical",
        "allowSourceRestart": False,
        "readySeconds": 300,
    }
    return {
        **_v0(lab),
        "stage": "v1",
        "hosts": {name: _host(lab, name) for name in ("prod", "core-worker-01", "replica")},
        "images": {key: lab.images[key] for key in ("airbyte-migration/db-migration",)},
        "coreWorker": {
            "kind": "existing",
            "host": "core-worker-01",
            "adminEndpoint": {"host": "127.0.0.1", "port": lab.port("core-worker-01", 5432)},
        },
        "replica": {"host": "replica", "lowResourceMode": True},
        "feeds": [feed],
    }


def feeds(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """The feeds in the answer of the DB Migration Script."""
    found: list[dict[str, Any]] = json.loads(done.stdout)["feeds"]
    return found
