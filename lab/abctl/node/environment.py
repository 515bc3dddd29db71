"""A container's environment, resolved as the kubelet does; what is missing stops the container."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .store import Store

RELEASE = "airbyte-abctl"
# There is no cluster DNS: services of the release are found by these addresses.
SERVICES = {
    f"{RELEASE}-temporal:7233": f"{RELEASE}-temporal",
    f"{RELEASE}-airbyte-server-svc:8001": f"{RELEASE}-server",
    f"{RELEASE}-workload-api-server-svc:8007": f"{RELEASE}-workload-api-server",
}


class ConfigError(Exception):
    """CreateContainerConfigError, with the kubelet's message."""


def resolve(container: dict[str, Any], store: Store, ports: dict[str, int]) -> dict[str, str]:
    """Return the environment; later entries win over earlier ones."""
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found |= _config_map(store, source["configMapRef"]["name"])
    for entry in container.get("env", []):
        source = entry.get("valueFrom") or {}
        if "secretKeyRef" in source:
            found[entry["name"]] = _secret_key(store, **source["secretKeyRef"])
        elif "configMapKeyRef" in source:
            reference = source["configMapKeyRef"]
            found[entry["name"]] = _config_map(store, reference["name"])[reference["key"]]
        else:
            found[entry["name"]] = str(entry.get("value", ""))
    return {name: _addressed(value, ports) for name, value in found.items()}


def _config_map(store: Store, name: str) -> dict[str, str]:
    found = store.get("configmaps", name)
    if found is None:
        msg = f'configmap "{name}" not found'
        raise ConfigError(msg)
    return dict(found["data"])


def _secret_key(store: Store, name: str, key: str) -> str:
    secret = store.get("secrets", name)
    if secret is None:
        msg = f'secret "{name}" not found'
        raise ConfigError(msg)
    if key not in (secret.get("data") or {}):
        msg = f"couldn't find key {key} in Secret {RELEASE}/{name}"
        raise ConfigError(msg)
    return base64.b64decode(secret["data"][key]).decode()


def _addressed(value: str, ports: dict[str, int]) -> str:
    for service, deployment in SERVICES.items():
        if service in value:
            return value.replace(service, f"127.0.0.1:{ports.get(deployment, 9)}")
    return value
