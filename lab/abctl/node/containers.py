"""Containers of the node: each one is a process of the Airbyte stand-in."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

ROLES = {
    "airbyte/server": "server",
    "airbyte/worker": "worker",
    "airbyte/cron": "cron",
    "airbyte/workload-launcher": "workload-launcher",
    "airbyte/workload-api-server": "workload-api-server",
    "airbyte/connector-builder-server": "connector-builder-server",
    "airbyte/manifest-server": "connector-builder-server",
    "airbyte/bootloader": "bootloader",
    "temporalio/auto-setup": "temporal",
}
KEPT = ("PATH", "PYTHONPATH", "LAB_WORLD_URL", "LAB_INSTANCE", "STANDIN_POLL_SECONDS",
        "STANDIN_MINUTE_SECONDS", "PYTHONDONTWRITEBYTECODE")  # fmt: skip
PROBE_SECONDS = 5.0


class ImageError(Exception):
    """ImagePullBackOff: this image is not to be had."""


def role_of(image: str) -> str:
    """Return the role that an image plays."""
    role = ROLES.get(image.partition(":")[0])
    if role is None:
        msg = f'Back-off pulling image "{image}"'
        raise ImageError(msg)
    return role


def environment(role: str, env: dict[str, str], port: int) -> dict[str, str]:
    """Return the process's environment: the container's own, and the lab's few variables."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    own = {"STANDIN_ROLE": role, "PYTHONUNBUFFERED": "1"}
    return {**kept, **env, **own, **({"STANDIN_PORT": str(port)} if port else {})}


def start(role: str, env: dict[str, str], port: int, log: Path) -> subprocess.Popen[bytes]:
    """Start a container's process."""
    log.parent.mkdir(exist_ok=True)
    with log.open("ab") as sink:
        return subprocess.Popen(
            [sys.executable, "-m", "airbyte_standin"],
            env=environment(role, env, port),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
        )


def ready(role: str, port: int) -> bool:
    """Probe: the server by its health, the others by their port."""
    if role == "server":
        url = f"http://127.0.0.1:{port}/api/v1/health"
        try:
            with urllib.request.urlopen(url, timeout=PROBE_SECONDS) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            error.close()
            return False
        except OSError:
            return False
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
