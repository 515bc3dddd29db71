"""One pod of a Deployment: start, probe, restart with a growing pause, stop."""

from __future__ import annotations

import hashlib
import json
import secrets
import subprocess
import time
from typing import TYPE_CHECKING, Any

from . import containers
from .environment import ConfigError, resolve

if TYPE_CHECKING:
    from .store import Object, Store

STOP_SECONDS = 10.0
BACKOFF_MOST_SECONDS = 20.0


def template_hash(workload: Object) -> str:
    """Return a hash of the pod's template: a pod with another one is replaced."""
    text = json.dumps(workload["spec"]["template"], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


class Pod:
    """A pod, as long as its template stays the same."""

    def __init__(self, workload: Object, store: Store, port: int) -> None:
        """Start nothing yet."""
        owner = workload["metadata"]["name"]
        self.hash = template_hash(workload)
        self.owner = owner
        self.name = f"{owner}-{self.hash}-{secrets.token_hex(3)[:5]}"
        self.container: dict[str, Any] = workload["spec"]["template"]["spec"]["containers"][0]
        self.labels = workload["metadata"].get("labels", {})
        self.port = port
        self.ready = False
        self.restarts = 0
        self.waiting: dict[str, str] = {"reason": "ContainerCreating"}
        self._store = store
        self._process: subprocess.Popen[bytes] | None = None
        self._again_at = 0.0

    def tick(self, ports: dict[str, int]) -> None:
        """Move one step towards running and ready."""
        if self._process is not None and self._process.poll() is not None:
            self._crashed(self._process.returncode)
        if self._process is None:
            self.ready = False
            if time.monotonic() >= self._again_at:
                self._start(ports)
        else:
            role = containers.role_of(self.container["image"])
            self.ready = containers.ready(role, self.port)

    def _start(self, ports: dict[str, int]) -> None:
        try:
            role = containers.role_of(self.container["image"])
            env = resolve(self.container, self._store, ports)
        except containers.ImageError as error:
            self.waiting = {"reason": "ImagePullBackOff", "message": str(error)}
        except ConfigError as error:
            self.waiting = {"reason": "CreateContainerConfigError", "message": str(error)}
        else:
            log = self._store.home / "logs" / f"{self.name}.log"
            self._process = containers.start(role, env, self.port, log)
            self.waiting = {}

    def _crashed(self, code: int) -> None:
        self.restarts += 1
        pause = min(BACKOFF_MOST_SECONDS, 2.0 ** min(self.restarts, 8))
        self._again_at = time.monotonic() + pause
        self._process = None
        message = f"back-off restarting failed container, exit code {code}"
        self.waiting = {"reason": "CrashLoopBackOff", "message": message}

    def stop(self) -> None:
        """Ask the process to end, then end it."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def as_object(self) -> Object:
        """Return the pod as Kubernetes shows it."""
        running = self._process is not None
        state = {"running": {}} if running else {"waiting": self.waiting}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": self.name,
                "namespace": "airbyte-abctl",
                "labels": {**self.labels, "pod-template-hash": self.hash},
                "ownerReferences": [{"kind": "ReplicaSet", "name": f"{self.owner}-{self.hash}"}],
            },
            "spec": {"containers": [self.container]},
            "status": {
                "phase": "Running" if running else "Pending",
                "conditions": [{"type": "Ready", "status": str(self.ready)}],
                "containerStatuses": [
                    {
                        "name": self.container["name"],
                        "image": self.container["image"],
                        "ready": self.ready,
                        "restartCount": self.restarts,
                        "state": state,
                    }
                ],
            },
        }
