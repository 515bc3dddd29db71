"""The host-side script with the lab's strict abctl, whose node is a local process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from airbyte import chart_secrets, versions
from tests.conformance.abctl_host import BIN, Host
from tests.conformance.harness import call
from tests.support import host_script, timeouts

if TYPE_CHECKING:
    from pathlib import Path

INSTANCE = "airbyte-prod-backup-replica-2"
CHART = versions.TARGET_CHART
PLANES = "SELECT count(*) FROM dataplane_client_credentials"
WRAPPED = f'#!/bin/sh\nexec {sys.executable} {BIN}/PROGRAM "$@"\n'
DOCKER = """#!/bin/bash
node=$HOME/.airbyte/abctl/lab-node/node.json
case "$*" in
  *State.Running*) [[ -e $node ]] && echo true ;;
  *PortBindings*) [[ -e $node ]] && grep -oE '"port": [0-9]+' "$node" | grep -oE '[0-9]+' ;;
  "exec "*) exec kubectl "${@:4}" ;;
esac
"""


@dataclass(frozen=True)
class Script:
    """hostctl on a host."""

    host: Host

    @property
    def folder(self) -> Path:
        return self.host.home / "state" / INSTANCE

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        home = self.host.home
        env = {
            "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
            "HOME": str(home),
            "AIRBYTE_MIGRATION_STATE": str(home / "state"),
            "NODE_HOME": str(home / ".airbyte/abctl/lab-node"),
            "ABCTL_LAB_RUNTIME": "process",
            "ABCTL_LAB_HELM_SECONDS": self.host.helm_seconds,
            "ABCTL_LAB_INGRESS_SECONDS": "3",
            "LAB_INSTANCE": "replica",
        }
        return subprocess.run(
            ["bash", host_script.laid(home), *words],
            env=env,
            capture_output=True,
            text=True,
            timeout=2 * timeouts.AGENT_STEP,
            check=False,
        )

    def ok(self, *words: str) -> dict[str, Any]:
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout)) if done.stdout else {}

    def lay(self, rendering: str) -> None:
        folder = self.folder / rendering
        folder.mkdir(parents=True)
        (folder / "values.yaml").write_text(yaml.safe_dump(self.host.values))
        login = self.host.secrets[chart_secrets.CONFIG_SECRET]
        config = chart_secrets.config_secret(
            user=login["database-user"], password=login["database-password"]
        )
        (folder / "secrets.yaml").write_text(yaml.safe_dump(config))
        words = ["--chart-version", CHART, "--port", str(self.host.port), "--no-browser"]
        (folder / "install.args").write_text("\n".join(words) + "\n")

    def token(self) -> str:
        body = {"client_id": chart_secrets.CLIENT_ID, "client_secret": "client"}
        url = f"http://127.0.0.1:{self.host.port}/api/v1/applications/token"
        return str(call(url, body)["access_token"])

    def workspaces(self, token: str) -> int:
        url = f"http://127.0.0.1:{self.host.port}/api/v1/workspaces/list"
        return len(call(url, {}, {"Authorization": f"Bearer {token}"})["workspaces"])


@pytest.fixture
def script(host: Host) -> Script:
    programs = host.home / "bin"
    programs.mkdir()
    texts = {"docker": DOCKER} | {
        name: WRAPPED.replace("PROGRAM", name) for name in ("abctl", "kubectl")
    }
    for name, text in texts.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    made = Script(host)
    made.lay("standby-here")
    auth = chart_secrets.auth_secret(admin_password="a", client_secret="client", shared="shared")
    (made.folder / "auth.yaml").write_text(yaml.safe_dump(auth))
    (made.folder / "default").write_text("standby-here\n")
    (made.folder / "airbyte").write_text(f"{versions.CHARTS[CHART].airbyte}\n")
    return made


def test_tokens_and_data_plane_outlive_the_cluster(script: Script) -> None:
    """Traps 17 and 19: lost and uninstalled clusters come back with the same Secret."""
    script.ok("program", "ensure", versions.ABCTL_VERSION)
    assert script.ok("apply", INSTANCE) == {"instance": INSTANCE, "rendering": "standby-here"}
    before, token = script.host.secret(), script.token()
    script.ok("uninstall", INSTANCE)
    assert script.ok("look", INSTANCE)["node"] == "none"
    script.ok("apply", INSTANCE)
    assert script.host.secret() == before
    assert script.workspaces(token) == 1
    assert script.host.airbyte.one(PLANES) == 1
    assert script.ok("look", INSTANCE) == {
        "instance": INSTANCE,
        "node": "running",
        "release": "deployed",
        "chart": CHART,
        "airbyte": versions.CHARTS[CHART].airbyte,
        "leftovers": [],
    }


def test_a_failed_install_is_named_and_mended(script: Script) -> None:
    """The database is out of reach for the first one; the second finds what it left."""
    secrets = script.folder / "standby-here" / "secrets.yaml"
    good = secrets.read_text()
    wrong = chart_secrets.config_secret(user="nobody", password="wrong")
    secrets.write_text(yaml.safe_dump(wrong))
    failed = script.run("apply", INSTANCE)
    assert failed.returncode == 1
    assert "no Airbyte installed by abctl" in failed.stderr
    assert "a Helm release that is failed" in script.ok("look", INSTANCE)["leftovers"]
    secrets.write_text(good)
    mended = script.run("apply", INSTANCE)
    assert mended.returncode == 0, mended.stderr
    assert "found a leftover: a Helm release that is failed" in mended.stderr
    assert script.ok("look", INSTANCE)["leftovers"] == []
