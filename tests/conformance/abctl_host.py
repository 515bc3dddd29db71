"""A host with the strict abctl, whose node is a local process: no Docker needed."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import yaml

from tests.conformance.harness import ROOT, Airbyte, free_port

if TYPE_CHECKING:
    from pathlib import Path

BIN = ROOT / "lab" / "abctl" / "bin"
NAMESPACE = ("-n", "airbyte-abctl")
RUNNING = ("worker", "cron", "workload-launcher")


class Host:
    """A host with abctl and an own home folder."""

    def __init__(self, airbyte: Airbyte, home: Path) -> None:
        self.airbyte = airbyte
        self.home = home
        self.port = free_port()
        self.helm_seconds = "45"
        self.values: dict[str, Any] = {
            "postgresql": {"enabled": False},
            "global": {
                "auth": {"enabled": True},
                "database": {
                    "type": "internal",
                    "host": airbyte.postgres.host,
                    "port": airbyte.postgres.port,
                    "database": airbyte.database,
                    "name": airbyte.database,
                    "secretName": "airbyte-config-secrets",
                    "userSecretKey": "database-user",
                    "passwordSecretKey": "database-password",
                },
            },
            **{name: {"replicaCount": 0} for name in RUNNING},
            "workloadLauncher": {"replicaCount": 0},
        }
        self.data: dict[str, dict[str, str]] = {}
        """`data` of a Secret beside its `stringData`, in base64."""
        self.secrets: dict[str, dict[str, str]] = {
            "airbyte-config-secrets": {
                "database-user": airbyte.postgres.user,
                "database-password": airbyte.postgres.password,
            }
        }

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "NODE_HOME": str(self.home / ".airbyte/abctl/lab-node"),
            "DO_NOT_TRACK": "",
            "ABCTL_LAB_RUNTIME": "process",
            "ABCTL_LAB_HELM_SECONDS": self.helm_seconds,
            "ABCTL_LAB_INGRESS_SECONDS": "3",
            "STANDIN_POLL_SECONDS": "0.2",
            "LAB_INSTANCE": "replica",
            **{key: value for key, value in self.airbyte.extra.items() if key.startswith("LAB_")},
        }
        return subprocess.run(
            [sys.executable, str(BIN / program), *words],
            env=env,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def abctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("abctl", "local", *words)

    def kubectl(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("kubectl", *NAMESPACE, *words)

    def install(self, version: str = "1.8.5", *more: str) -> subprocess.CompletedProcess[str]:
        file = self.home / "values.yaml"
        file.write_text(yaml.safe_dump(self.values))
        words = ["--chart-version", version, "--values", str(file), "--no-browser"]
        for name, data in self.secrets.items():
            secret = self.home / f"{name}.yaml"
            body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
            body |= {"data": self.data.get(name, {})}
            secret.write_text(yaml.safe_dump(body | {"stringData": data}))
            words += ["--secret", str(secret)]
        return self.abctl("install", *words, "--port", str(self.port), *more)

    def secret(self, name: str = "airbyte-auth-secrets") -> dict[str, str]:
        found = json.loads(self.kubectl("get", "secret", name, "-o", "json").stdout)
        return {key: base64.b64decode(text).decode() for key, text in found["data"].items()}

    def pods(self) -> dict[str, Any]:
        items = json.loads(self.kubectl("get", "pods", "-o", "json").stdout)["items"]
        return {one["metadata"]["ownerReferences"][0]["name"]: one for one in items}

    def reasons(self) -> set[str]:
        statuses = [one["status"]["containerStatuses"][0] for one in self.pods().values()]
        return {one["state"]["waiting"]["reason"] for one in statuses if "waiting" in one["state"]}

    def deployment(self, name: str) -> dict[str, Any]:
        found = self.kubectl("get", "deployment", f"airbyte-abctl-{name}", "-o", "json").stdout
        return dict(json.loads(found))
