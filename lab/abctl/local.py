"""abctl's other commands."""

from __future__ import annotations

import base64
import json
import shutil
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

from . import charts, output, values
from .database import RELEASE
from .render import AUTH_SECRET, Renderer

if TYPE_CHECKING:
    from .cluster import Cluster

Flags = dict[str, Any]
ORGANIZATION = "00000000-0000-0000-0000-000000000000"
KUBERNETES_HINT = (
    "An error occurred while communicating with the Kubernetes cluster.\n"
    'If this error persists, you may need to run the "abctl local uninstall" command.'
)


def status(_flags: Flags, cluster: Cluster) -> None:
    """Print the releases; nothing installed is no error."""
    cluster.check_docker()
    if not cluster.exists():
        output.warning("Airbyte does not appear to be installed locally")
        return
    output.success("Existing cluster 'airbyte-abctl' found")
    port = cluster.port()
    for name in (RELEASE, "ingress-nginx"):
        found = cluster.ask("get", {"kind": "releases", "name": name})
        if not found:
            output.warning("Unable to fetch airbyte release")
            continue
        output.info(
            f"Found helm chart '{name}'\n  Status: {found['status']}\n"
            f"  Chart Version: {found['chart']}\n  App Version: {found['app']}"
        )
    output.info(f"Airbyte should be accessible via http://localhost:{port}")


def uninstall(flags: Flags, cluster: Cluster) -> None:
    """Delete the cluster; the data folder stays unless --persisted."""
    cluster.check_docker()
    if not cluster.exists():
        output.success("Cluster 'airbyte-abctl' does not exist\nNo additional action required")
        return
    output.success("Existing cluster 'airbyte-abctl' found")
    if flags["persisted"]:
        shutil.rmtree(cluster.data, ignore_errors=True)
        output.success("Removed persisted data")
    cluster.delete()
    output.success("Uninstallation of cluster 'airbyte-abctl' completed successfully")


def _connected(cluster: Cluster) -> None:
    if not cluster.kubeconfig.exists():
        msg = (
            "error communicating with kubernetes: could not create rest config: "
            f"stat {cluster.kubeconfig}: no such file or directory"
        )
        raise output.AbctlError(msg, KUBERNETES_HINT)


def deployments(flags: Flags, cluster: Cluster) -> None:
    """List the Deployments, or restart one."""
    _connected(cluster)
    cluster.check_docker()
    name = flags["restart"]
    if name:
        if not cluster.ask("restart", {"name": name})["found"]:
            output.error(f"Unable to restart airbyte deployment {name}")
            msg = f'unable to restart airbyte deployment: deployments.apps "{name}" not found'
            raise output.AbctlError(msg)
        return
    names = sorted(cluster.ask("list", {"kind": "deployments"}))
    if not names:
        output.info("No deployments found")
        return
    output.info("\n  ".join(["Found the following deployments:", *names]))


def credentials(flags: Flags, cluster: Cluster) -> None:
    """Print the login, as text; needs the API."""
    if not cluster.kubeconfig.exists():
        output.error("No existing cluster found")
        return
    secret = cluster.ask("get", {"kind": "secrets", "name": AUTH_SECRET})
    if not secret:
        msg = f'secrets "{AUTH_SECRET}" not found'
        raise output.AbctlError(msg)
    data = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
    api = _Api(cluster.port(), data)
    if flags["email"]:
        output.info("Updating email for authentication")
        api.call("organizations/update", {"email": flags["email"]})
        output.success("Email updated")
    if flags["password"] and flags["password"] != data["instance-admin-password"]:
        output.info("Updating password for authentication")
        data["instance-admin-password"] = flags["password"]
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        changed = {"kind": "secrets", "name": AUTH_SECRET, "object": secret | {"data": encoded}}
        cluster.ask("put", changed)
        output.success("Password updated")
        cluster.ask("restart", {"name": f"{RELEASE}-server"})
        output.success("Restarted airbyte-abctl-server")
    email = api.call("organizations/get", {})["email"] or "[not set]"
    output.success(f"Retrieving your credentials from '{AUTH_SECRET}'")
    output.info(
        f"Credentials:\n  Email: {email}\n  Password: {data['instance-admin-password']}\n"
        f"  Client-Id: {data['instance-admin-client-id']}\n"
        f"  Client-Secret: {data['instance-admin-client-secret']}"
    )


class _Api:
    def __init__(self, port: int, data: dict[str, str]) -> None:
        self._url = f"http://localhost:{port}/api/v1"
        self._token = ""
        body = {
            "client_id": data["instance-admin-client-id"],
            "client_secret": data["instance-admin-client-secret"],
            "grant-type": "client_credentials",
        }
        self._token = self.call("applications/token", body)["access_token"]

    def call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        full = {"organizationId": ORGANIZATION} | body
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        request = urllib.request.Request(  # noqa: S310 - localhost
            f"{self._url}/{path}", data=json.dumps(full).encode(), headers=headers
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                return dict(json.loads(answer.read()))
        except (OSError, ValueError) as error:
            msg = f"unable to determine organization email: {error}"
            raise output.AbctlError(msg) from error


def images_manifest(flags: Flags, cluster: Cluster) -> None:
    """List the images of a chart."""
    chart = charts.resolve(flags["chart"], flags["chart-version"])
    # The command has no such flags: they stay zero, and port 0 is an error with a v2 version.
    more: Flags = dict.fromkeys(("disable-auth", "low-resource-mode", "insecure-cookies"), False)
    more |= {"docker-username": "", "docker-password": ""}
    more["port"] = 0 if flags["chart-version"] else 8000
    found = Renderer(chart, values.build(flags | more, chart, cluster.data)).render()
    pods = [*found.deployments, *([found.bootloader] if found.bootloader else [])]
    images = {_image(pod) for pod in pods}
    sys.stdout.write("\n".join(sorted(images)) + "\n")


def _image(workload: dict[str, Any]) -> str:
    spec = workload["spec"]
    spec = spec.get("template", {}).get("spec", spec)
    return str(spec["containers"][0]["image"])
