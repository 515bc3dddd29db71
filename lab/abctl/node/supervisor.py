"""The node's loop: makes what runs agree with what the objects say."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

from . import containers
from .ingress import Ingress
from .pods import Pod, template_hash
from .store import Store

if TYPE_CHECKING:
    from types import FrameType

TURN_SECONDS = 0.5
QUIET_TURN_SECONDS = 2.0
WAKE_SECONDS = 0.1


class Supervisor:
    """Kubelet, scheduler and controllers in one."""

    def __init__(self, store: Store) -> None:
        """Start nothing yet."""
        self._store = store
        self._pods: dict[str, Pod] = {}
        self.ports: dict[str, int] = {}
        self._ephemeral = os.environ.get("NODE_EPHEMERAL_PORTS") == "1"
        self._shown: dict[str, Any] = {}

    def turn(self) -> bool:
        """Look at every workload once; True when all is as wanted."""
        workloads = self._store.all("deployments") | self._store.all("statefulsets")
        for name in [name for name in self._pods if name not in workloads]:
            self._drop(name)
        for name, workload in workloads.items():
            self._agree(name, workload)
        for pod in self._pods.values():
            pod.tick(self.ports)
        self._show(workloads)
        return all(pod.ready for pod in self._pods.values())

    def _agree(self, name: str, workload: dict[str, Any]) -> None:
        pod = self._pods.get(name)
        wanted = workload["spec"]["replicas"] > 0
        if pod is not None and (not wanted or pod.hash != template_hash(workload)):
            self._drop(name)
            pod = None
        if wanted and pod is None:
            self._pods[name] = Pod(workload, self._store, self._port(name, workload))

    def _port(self, name: str, workload: dict[str, Any]) -> int:
        declared = workload["spec"]["template"]["spec"]["containers"][0].get("ports") or []
        if name not in self.ports:
            plain = int(declared[0]["containerPort"]) if declared else 0
            self.ports[name] = containers.free_port() if self._ephemeral else plain
        return self.ports[name]

    def _drop(self, name: str) -> None:
        self._pods.pop(name).stop()

    def _show(self, workloads: dict[str, Any]) -> None:
        """Write pods and statuses, only when they changed: an idle node writes nothing."""
        pods = {pod.name: pod.as_object() for pod in self._pods.values()}
        status = {name: self._status(name, found) for name, found in workloads.items()}
        if {"pods": pods, "status": status} == self._shown:
            return
        for old in set(self._store.all("pods")) - set(pods):
            self._store.delete("pods", old)
        for name, value in pods.items():
            self._store.put("pods", name, value)
        self._store.put("statuses", "all", status)
        self._shown = {"pods": pods, "status": status}

    def _status(self, name: str, workload: dict[str, Any]) -> dict[str, Any]:
        pod = self._pods.get(name)
        ready = int(pod is not None and pod.ready)
        found: dict[str, Any] = {
            "observedGeneration": workload["metadata"].get("generation", 1),
            "templateHash": pod.hash if pod else template_hash(workload),
            "conditions": [{"type": "Available", "status": str(bool(ready or pod is None))}],
        }
        if pod is not None:
            found |= {"replicas": 1, "updatedReplicas": 1}
            # Kubernetes leaves counters of 0 out.
            found |= {"readyReplicas": 1, "availableReplicas": 1} if ready else {}
            found |= {} if ready else {"unavailableReplicas": 1}
        return found

    def ready_port(self, name: str) -> int | None:
        """Return where a ready Deployment listens."""
        pod = self._pods.get(name)
        return pod.port if pod is not None and pod.ready else None

    def stop(self) -> None:
        """Stop all pods: the scheduler's clients before the scheduler."""
        for name in list(self._pods):
            self._drop(name)


def main() -> int:
    """Run until SIGTERM."""
    stop = threading.Event()

    def end(_signum: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    store = Store()
    supervisor = Supervisor(store)
    ingress = Ingress(store, supervisor.ready_port)
    ingress.start(int(os.environ.get("NODE_INGRESS_PORT", "80")))
    settled = False
    while not _stopped(stop, store, QUIET_TURN_SECONDS if settled else TURN_SECONDS):
        settled = supervisor.turn()
    supervisor.stop()
    ingress.stop()
    return 0


def _stopped(stop: threading.Event, store: Store, seconds: float) -> bool:
    """Wait for the next turn, which a changed object brings forward; True when to end."""
    deadline = time.monotonic() + seconds
    while not stop.wait(WAKE_SECONDS):
        if _asked(store) or time.monotonic() > deadline:
            return False
    return True


def _asked(store: Store) -> bool:
    """Whether somebody changed an object since the last turn."""
    marker = store.home / "changed"
    changed = marker.exists()
    marker.unlink(missing_ok=True)
    return changed
