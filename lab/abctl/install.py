"""`abctl local install`, step by step in the real order."""

from __future__ import annotations

import base64
import ipaddress
import os
import re
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from . import charts, output, values
from .database import NAMESPACE, RELEASE
from .render import Renderer

if TYPE_CHECKING:
    from .cluster import Cluster

HOST = re.compile(r"^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$")
HELM_SECONDS = 3600.0
INGRESS_SECONDS = 60.0
VOLUMES = (
    ("airbyte-local-pv", "airbyte-storage-pvc"),
    ("airbyte-volume-db", "airbyte-volume-db-airbyte-db-0"),
)
NGINX_VERSION = "4.12.1"
HOST_HINT = "By default, abctl will allow access from any hostname or IP."
Flags = dict[str, Any]


def install(flags: Flags, cluster: Cluster) -> None:
    """Install or upgrade; a run that changes nothing is an upgrade, too."""
    volumes = _volumes(flags["volume"])
    cluster.check_docker()
    _cluster(flags, cluster, volumes)
    chart = charts.resolve(flags["chart"], flags["chart-version"])
    for host in flags["host"]:
        _check_host(host)
    rendered_values = values.build(flags, chart, cluster.data)
    _namespace(cluster)
    for path in flags["secret"]:
        _secret(cluster, path)
    _chart(cluster, chart, rendered_values)
    _nginx(cluster)
    _ingress(cluster, flags["host"])
    url = f"http://localhost:{flags['port']}"
    _verify(cluster, url)
    if flags["no-browser"]:
        text = "Launching web-browser disabled. Airbyte should be accessible at"
        output.success(f"{text}\n  {url}")
    else:
        output.warning(f"Failed to launch web-browser.\nPlease visit {url}")
    output.success(
        "Airbyte installation complete.\n"
        "  A password may be required to login. The password can by found by running\n"
        "  the command abctl local credentials"
    )


def _volumes(given: list[str]) -> list[str]:
    for one in given:
        if len(one.split(":")) != 2:
            msg = (
                f"failed to parse the extra volume mounts: volume {one} is not a valid volume "
                "spec, must be <HOST_PATH>:<GUEST_PATH>"
            )
            raise output.AbctlError(msg)
    return given


def _cluster(flags: Flags, cluster: Cluster, volumes: list[str]) -> None:
    if cluster.exists():
        output.success("Existing cluster 'airbyte-abctl' found")
        cluster.export_kubeconfig()
        port = cluster.port()
        if port != flags["port"]:
            output.warning(
                f"The existing cluster was found to be using port {port}, which differs from the "
                f"provided port {flags['port']}.\nThe existing port will be used, as changing "
                "ports currently requires the existing installation to be uninstalled first."
            )
        flags["port"] = port
        output.success("Cluster 'airbyte-abctl' validation complete")
        return
    output.info("No existing cluster found, cluster 'airbyte-abctl' will be created")
    _port_available(flags["port"])
    output.success(f"Port {flags['port']} appears to be available")
    cluster.create(flags["port"], volumes)
    output.success("Cluster 'airbyte-abctl' created")


def _port_available(port: int) -> None:
    if port < 1024:
        output.warning(f"Availability of port {port} cannot be determined")
        return
    hint = "The ingress port can be changed by passing the flag --port."
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            msg = f"error verifying port availability: port {port} is already in use"
            raise output.AbctlError(msg, hint) from error


def _check_host(host: str) -> None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if HOST.match(host):
            return
        msg = "invalid host"
        raise output.AbctlError(msg, HOST_HINT) from None
    msg = "invalid host - can't use an IP address"
    raise output.AbctlError(msg, HOST_HINT)


def _namespace(cluster: Cluster) -> None:
    known = cluster.ask("get", {"kind": "namespaces", "name": NAMESPACE})
    cluster.ask("put", {"kind": "namespaces", "name": NAMESPACE, "object": {"name": NAMESPACE}})
    text = "already exists" if known else "created"
    output.info(f"Namespace '{NAMESPACE}' {text}")
    for volume, claim in VOLUMES:
        folder = cluster.data / volume
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)
        output.info(f"Persistent volume '{volume}' {text}")
        output.info(f"Persistent volume claim '{claim}' {text}")


def _secret(cluster: Cluster, path: str) -> None:
    try:
        found = yaml.safe_load(Path(path).read_text())
    except (OSError, yaml.YAMLError) as error:
        msg = f"unable to unmarshal secret file '{path}': {error}"
        raise output.AbctlError(msg) from error
    if not isinstance(found, dict) or not (found.get("metadata") or {}).get("name"):
        msg = f"unable to create secret from file '{path}': resource name may not be empty"
        raise output.AbctlError(msg)
    plain = {key: _encoded(value) for key, value in (found.get("stringData") or {}).items()}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {**found["metadata"], "namespace": NAMESPACE},
        "type": found.get("type", "Opaque"),
        # A full update: a key that the file leaves out is gone afterwards.
        "data": {**(found.get("data") or {}), **plain},
    }
    name = secret["metadata"]["name"]
    cluster.ask("put", {"kind": "secrets", "name": name, "object": secret})
    output.success(f"Secret from '{path}' created or updated")


def _encoded(value: object) -> str:
    if not isinstance(value, str):
        msg = f"unable to unmarshal secret file: stringData must hold strings, got {value!r}"
        raise output.AbctlError(msg)
    return base64.b64encode(value.encode()).decode()


def _chart(cluster: Cluster, chart: charts.Chart, chart_values: values.Values) -> None:
    output.info(f"Starting Helm Chart installation of 'airbyte/airbyte' (version: {chart.version})")
    rendered = Renderer(chart, chart_values).render()
    begun = cluster.ask("begin", {"release": RELEASE, "chart": chart.version})
    revision = begun["revision"]
    body = {
        "release": RELEASE,
        "revision": revision,
        "attempt": begun["attempt"],
        "chart": chart.version,
        "app": chart.app_version,
        "configMap": rendered.config_map,
        "secret": rendered.secret,
        "deployments": rendered.deployments,
        "bootloader": rendered.bootloader,
        "seconds": float(os.environ.get("ABCTL_LAB_HELM_SECONDS", HELM_SECONDS)),
    }
    result = cluster.ask("upgrade", body)
    if result["error"]:
        output.error("Failed to install airbyte/airbyte Helm Chart")
        v1_pod = f"{RELEASE}-airbyte-bootloader"
        if result["failedPods"] == [v1_pod]:
            msg = "unable to install airbyte chart: bootloader failed"
            raise output.AbctlError(msg, "Try running again with --verbose to see its logs.")
        msg = f"unable to install airbyte chart: unable to install helm: {result['error']}"
        raise output.AbctlError(msg)
    output.success(
        f"Installed Helm Chart airbyte/airbyte:\n  Name: {RELEASE}\n  Namespace: {NAMESPACE}\n"
        f"  Version: {chart.version}\n  AppVersion: {chart.app_version}\n  Release: {revision}"
    )


def _nginx(cluster: Cluster) -> None:
    """Nothing when the same version is there."""
    name = "ingress-nginx"
    known = cluster.ask("get", {"kind": "releases", "name": name})
    if known and known["chart"] == NGINX_VERSION:
        output.success("Found matching existing Helm Chart nginx/ingress-nginx")
        return
    release = {"name": name, "chart": NGINX_VERSION, "app": "1.12.1", "status": "deployed"}
    cluster.ask("put", {"kind": "releases", "name": name, "object": release})
    output.success("Installed Helm Chart nginx/ingress-nginx")


def _ingress(cluster: Cluster, hosts: list[str]) -> None:
    name = "ingress-abctl"
    known = cluster.ask("get", {"kind": "ingresses", "name": name})
    extra = [one for one in ("localhost", "host.docker.internal") if one not in hosts]
    wanted = {"name": name, "hosts": [*hosts, *extra] if hosts else []}
    cluster.ask("put", {"kind": "ingresses", "name": name, "object": wanted})
    if known:
        output.success("Updated existing Ingress")
    else:
        output.info("No existing Ingress found, creating one")
        output.success("Ingress created")


def _verify(cluster: Cluster, url: str) -> None:
    """GET / must be 200 within a minute; everything is applied by now, whatever comes."""
    limit = float(cluster.env.get("ABCTL_LAB_INGRESS_SECONDS", INGRESS_SECONDS))
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if _answers(url):
            return
        cluster.ask("tick", {"seconds": min(1.0, limit)})
    output.error("Timed out waiting for ingress")
    msg = "browser liveness check failed: context deadline exceeded"
    raise output.AbctlError(msg)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - localhost
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        with error:
            return error.code == 401 and "abctl" in (error.headers.get("WWW-Authenticate") or "")
    except OSError:
        return False
