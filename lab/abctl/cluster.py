"""The cluster: a lab node in place of kind's, in a container or (for tests) as a process."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .output import AbctlError, debug

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "airbyte-abctl"
NODE = "airbyte-abctl-control-plane"
LABEL = "io.x-k8s.kind.cluster"
STOP_SECONDS = 20.0
IMAGE_FILE = Path("/etc/abctl-lab/node-image")
PASSED = ("LAB_WORLD_URL", "STANDIN_POLL_SECONDS", "STANDIN_MINUTE_SECONDS")
DOCKER_HINT = (
    "An error occurred while communicating with the Docker daemon.\n"
    "Ensure that Docker is running and is accessible.  You may need to upgrade to a newer version "
    "of Docker.\nFor additional help please visit https://docs.docker.com/get-docker/"
)


class Cluster:
    """One node, and what abctl keeps in the home folder."""

    def __init__(self, env: Mapping[str, str]) -> None:
        """Find the folders; all of them hang on $HOME."""
        self.env = env
        self.airbyte = Path(env.get("HOME", "/root")) / ".airbyte"
        self.folder = self.airbyte / "abctl"
        self.data = self.folder / "data"
        self.kubeconfig = self.folder / "abctl.kubeconfig"
        self._local = env.get("ABCTL_LAB_RUNTIME", "docker") == "process"
        self._node_home = self.folder / "lab-node"

    def check_docker(self) -> None:
        """Stop when the daemon does not answer."""
        if self._local:
            return
        try:
            found = self._docker("version", "--format", "{{.Server.Version}}")
        except OSError as error:
            msg = f"unable to determine docker installation status: {error}"
            raise AbctlError(msg, DOCKER_HINT) from error
        if found.returncode:
            msg = (
                "unable to determine docker installation status: error communicating with docker: "
                + found.stderr.strip()
            )
            raise AbctlError(msg, DOCKER_HINT)

    def exists(self) -> bool:
        """Say whether there is a node, running or not."""
        if self._local:
            return (self._node_home / "node.json").exists()
        found = self._docker(
            "ps", "-a", "--filter", f"label={LABEL}={NAME}", "--format", "{{.Names}}"
        )
        return NODE in found.stdout.split()

    def port(self) -> int:
        """Return the published port; the node must run."""
        status, port = self._inspect()
        if status != "running":
            msg = f'container "{NODE}" is not running (status = "{status}")'
            raise AbctlError(msg)
        return port

    def _inspect(self) -> tuple[str, int]:
        if self._local:
            noted = json.loads((self._node_home / "node.json").read_text())
            return ("running" if _alive(noted["pid"]) else "exited"), int(noted["port"])
        found = self._docker("inspect", NODE)
        if found.returncode:
            msg = f"unable to inspect container: {found.stderr.strip()}"
            raise AbctlError(msg)
        facts = json.loads(found.stdout)[0]
        for bindings in (facts["HostConfig"]["PortBindings"] or {}).values():
            for binding in bindings:
                if binding["HostIp"] == "0.0.0.0":  # noqa: S104 - compared, not bound
                    return facts["State"]["Status"], int(binding["HostPort"])
        msg = f'no matching port found on container "{NODE}"'
        raise AbctlError(msg)

    def create(self, port: int, volumes: list[str]) -> None:
        """Make the node."""
        self.data.mkdir(parents=True, exist_ok=True)
        if self._local:
            self._start_process(port)
        else:
            self._start_container(port, volumes)
        self.export_kubeconfig()

    def export_kubeconfig(self) -> None:
        """Write what kind would: abctl's commands look for this file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = f"# lab stand-in of a kind cluster\ncurrent-context: kind-{NAME}\n"
        self.kubeconfig.write_text(text)
        self.kubeconfig.chmod(0o600)

    def delete(self) -> None:
        """Remove the node; its Secrets go with it."""
        if self._local:
            noted = json.loads((self._node_home / "node.json").read_text())
            _end(noted["pid"])
            (self._node_home / "node.json").unlink()
            for old in sorted(self._node_home.rglob("*"), reverse=True):
                old.rmdir() if old.is_dir() else old.unlink()
        elif self._docker("rm", "-f", "-v", NODE).returncode:
            msg = f"unable to uninstall cluster {NAME}"
            raise AbctlError(msg)
        self.kubeconfig.unlink(missing_ok=True)

    def ask(self, verb: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        """Speak with the node, as with the API server of Kubernetes."""
        if self._local:
            command = [sys.executable, "-m", "abctl.node.control", verb]
            env: Mapping[str, str] | None = self._process_env(0)
        else:
            command = ["docker", "exec", "-i", NODE, "python3", "-m", "abctl.node.control", verb]
            env = None
        found = subprocess.run(
            command, input=json.dumps(body), env=env, capture_output=True, text=True, check=False
        )
        debug(f"{verb}: {found.stderr.strip()}")
        if found.returncode:
            msg = f"error communicating with kubernetes: {found.stderr.strip()[-800:]}"
            raise AbctlError(msg)
        return json.loads(found.stdout or "null")

    def _docker(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)

    def _image(self) -> str:
        found = self.env.get("ABCTL_LAB_NODE_IMAGE", "")
        if not found and IMAGE_FILE.exists():
            found = IMAGE_FILE.read_text().strip()
        if not found:
            msg = f"lab: no node image: set ABCTL_LAB_NODE_IMAGE or write {IMAGE_FILE}"
            raise AbctlError(msg)
        return found

    def _start_container(self, port: int, volumes: list[str]) -> None:
        network = self.env.get("KIND_EXPERIMENTAL_DOCKER_NETWORK", "kind")
        if self._docker("network", "inspect", network).returncode:
            self._docker("network", "create", network)
        instance = self.env.get("LAB_INSTANCE") or socket.gethostname()
        command = ["run", "--detach", "--name", NODE, "--hostname", NODE]
        command += ["--label", f"{LABEL}={NAME}", "--label", "io.x-k8s.kind.role=control-plane"]
        command += ["--network", network, "--restart", "on-failure:1"]
        command += ["--publish", f"0.0.0.0:{port}:80/tcp", "--env", f"LAB_INSTANCE={instance}"]
        command += ["--volume", f"{self.data}:/var/local-path-provisioner"]
        for volume in volumes:
            command += ["--volume", volume]
        for name in PASSED:
            if name in self.env:
                command += ["--env", f"{name}={self.env[name]}"]
        found = self._docker(*command, self._image())
        if found.returncode:
            self._docker("rm", "-f", "-v", NODE)
            msg = f"unable to create kind cluster: {found.stderr.strip()}"
            raise AbctlError(msg)

    def _process_env(self, port: int) -> dict[str, str]:
        return {
            **self.env,
            "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
            "NODE_HOME": str(self._node_home),
            "NODE_INGRESS_PORT": str(port),
            "NODE_EPHEMERAL_PORTS": "1",
        }

    def _start_process(self, port: int) -> None:
        self._node_home.mkdir(parents=True, exist_ok=True)
        with (self._node_home / "node.log").open("ab") as log:
            node = subprocess.Popen(
                [sys.executable, "-m", "abctl.node"],
                env=self._process_env(port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        noted = {"pid": node.pid, "port": port}
        (self._node_home / "node.json").write_text(json.dumps(noted))
        # The child outlives this program on purpose.
        node.returncode = 0


def _end(pid: int) -> None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    os.kill(pid, signal.SIGTERM)
    select.select([handle], [], [], STOP_SECONDS)
    os.close(handle)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
