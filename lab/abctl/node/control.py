"""What abctl asks of the node, in place of the APIs of Kubernetes and Helm (JSON in, JSON out)."""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from . import containers
from .environment import ConfigError, resolve
from .pods import template_hash
from .store import Object, Store

if TYPE_CHECKING:
    from collections.abc import Callable

WAIT_TURN_SECONDS = 0.25
NEVER = threading.Event()


def changed(store: Store) -> None:
    """Wake the supervisor."""
    (store.home / "changed").touch()


def get(store: Store, body: Object) -> Any:  # noqa: ANN401 - JSON
    """Read an object, or null."""
    return store.get(body["kind"], body["name"])


def list_names(store: Store, body: Object) -> Any:  # noqa: ANN401 - JSON
    """List the names of a kind."""
    return list(store.all(body["kind"]))


def put(store: Store, body: Object) -> Any:  # noqa: ANN401 - JSON
    """Write an object."""
    store.put(body["kind"], body["name"], body["object"])
    changed(store)
    return {}


def restart(store: Store, body: Object) -> Any:  # noqa: ANN401 - JSON
    """Roll a Deployment's pods over, and wait."""
    name = body["name"]
    with store.lock():
        found = store.get("deployments", name)
        if found is None:
            return {"found": False}
        annotations = found["spec"]["template"]["metadata"].setdefault("annotations", {})
        annotations["kubectl.kubernetes.io/restartedAt"] = str(time.time_ns())
        store.put("deployments", name, found)
    changed(store)
    return {"found": True, "ready": not wait_ready(store, [name], 60)}


def begin(store: Store, body: Object) -> Any:  # noqa: ANN401 - JSON
    """Open a new revision. A release left pending loses its history, as abctl deletes it."""
    with store.lock():
        known = store.get("releases", body["release"])
        stuck = bool(known) and str((known or {})["status"]).startswith("pending")
        revision = 1 if known is None or stuck else int(known["revision"]) + 1
        status = "pending-upgrade" if revision > 1 else "pending-install"
        release = {"name": body["release"], "revision": revision, "status": status}
        release |= {"chart": body["chart"], "app": (known or {}).get("app", "")}
        release["attempt"] = secrets.token_hex(8)
        store.put("releases", body["release"], release)
    return {"revision": revision, "attempt": release["attempt"]}


def upgrade(store: Store, body: Object) -> Any:  # noqa: ANN401 - JSON
    """Apply one revision: hooks first, then everything, then wait for all to be ready.

    An abctl that was killed applies nothing more: here it is the next attempt that ends it.
    """
    deadline = time.monotonic() + body["seconds"]
    for kind, key in (("configmaps", "configMap"), ("secrets", "secret")):
        store.put(kind, body[key]["metadata"]["name"], body[key])
    error, failed = "", []
    if body["bootloader"]:
        error = run_hook(store, body["bootloader"], deadline)
        failed = [body["bootloader"]["metadata"]["name"]] if error else []
    if not _is_current(store, body):
        return {"error": "another abctl has begun a revision", "failedPods": []}
    if not error:
        apply(store, body["deployments"])
        names = [one["metadata"]["name"] for one in body["deployments"]]
        pending = wait_ready(store, names, max(0.0, deadline - time.monotonic()))
        if pending:
            error = "client rate limiter Wait returned an error: context deadline exceeded"
            sys.stderr.write(f"not ready: {', '.join(pending)}\n")
    if not _is_current(store, body):
        return {"error": "another abctl has begun a revision", "failedPods": []}
    release = {
        "name": body["release"],
        "revision": body["revision"],
        "status": "failed" if error else "deployed",
        "chart": body["chart"],
        "app": body["app"],
    }
    store.put("releases", body["release"], release)
    return {"error": error, "failedPods": failed}


def _is_current(store: Store, body: Object) -> bool:
    known = store.get("releases", body["release"]) or {}
    return bool(known.get("attempt") == body["attempt"])


def apply(store: Store, workloads: list[Object]) -> None:
    """Replace all workloads of the release; replicas set by hand are overridden."""
    with store.lock():
        for kind, plural in (("Deployment", "deployments"), ("StatefulSet", "statefulsets")):
            wanted = {one["metadata"]["name"]: one for one in workloads if one["kind"] == kind}
            for old in set(store.all(plural)) - set(wanted):
                store.delete(plural, old)
            for name, value in wanted.items():
                before = store.get(plural, name)
                generation = (before or {"metadata": {}})["metadata"].get("generation", 0) + 1
                value["metadata"]["generation"] = generation
                store.put(plural, name, value)
    changed(store)


def wait_ready(store: Store, names: list[str], seconds: float) -> list[str]:
    """Wait until every workload is ready; return those that are not."""
    deadline = time.monotonic() + seconds
    while True:
        pending = [name for name in names if not is_ready(store, name)]
        if not pending or time.monotonic() > deadline:
            return pending
        NEVER.wait(WAIT_TURN_SECONDS)


def is_ready(store: Store, name: str) -> bool:
    """Say whether a workload's pods are those wanted, and ready."""
    workload = store.get("deployments", name) or store.get("statefulsets", name)
    status = (store.get("statuses", "all") or {}).get(name)
    if workload is None or status is None:
        return False
    if workload["spec"]["replicas"] == 0:
        return bool(status.get("replicas", 0) == 0)
    return status["templateHash"] == template_hash(workload) and bool(status.get("readyReplicas"))


def run_hook(store: Store, pod: Object, deadline: float) -> str:
    """Run the bootloader's pod to its end; return what went wrong."""
    container = pod["spec"]["containers"][0]
    name = pod["metadata"]["name"]
    while True:
        try:
            env = resolve(container, store, {})
            role = containers.role_of(container["image"])
        except (ConfigError, containers.ImageError) as error:
            if time.monotonic() > deadline:
                sys.stderr.write(f"{name}: CreateContainerConfigError: {error}\n")
                return "failed pre-install: timed out waiting for the condition"
            NEVER.wait(WAIT_TURN_SECONDS)
        else:
            break
    secret_name = env.pop("LAB_AUTH_SECRET_NAME")
    file = store.home / "auth-secret.json"
    file.write_text(json.dumps(_decoded(store.get("secrets", secret_name))))
    file.chmod(0o600)
    process = subprocess.run(
        [sys.executable, "-m", "airbyte_standin"],
        env=containers.environment(role, env | {"LAB_AUTH_SECRET_FILE": str(file)}, 0),
        capture_output=True,
        text=True,
        check=False,
    )
    sys.stderr.write(process.stdout)
    _keep(store, secret_name, json.loads(file.read_text()))
    file.unlink()
    logs = store.home / "logs"
    logs.mkdir(exist_ok=True)
    (logs / f"{name}.log").write_text(process.stdout + process.stderr)
    return f"failed pre-install: pod {name} failed" if process.returncode else ""


def _decoded(secret: Object | None) -> dict[str, str]:
    data = (secret or {}).get("data") or {}
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def _keep(store: Store, name: str, values: dict[str, str]) -> None:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    known = store.get("secrets", name) or {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "airbyte-abctl"},
        "type": "Opaque",
    }
    if known.get("data") != data:
        store.put("secrets", name, known | {"data": data})


def tick(_store: Store, body: Object) -> Any:  # noqa: ANN401 - JSON
    """Pass some time."""
    NEVER.wait(float(body["seconds"]))
    return {}


VERBS: dict[str, Callable[[Store, Object], Any]] = {
    "get": get,
    "list": list_names,
    "put": put,
    "restart": restart,
    "begin": begin,
    "upgrade": upgrade,
    "tick": tick,
}


def main() -> int:
    """Run one verb."""
    result = VERBS[sys.argv[1]](Store(), json.loads(sys.stdin.read()))
    sys.stdout.write(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
