"""From a chart and its values to Kubernetes objects, with the charts' own traps (pure)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from .charts import Chart, Line
from .database import ENV_MAP, NAMESPACE, RELEASE, Database, read_database
from .output import AbctlError
from .values import Values, get

Object = dict[str, Any]
AUTH_SECRET = "airbyte-auth-secrets"  # noqa: S105 - an object's name
ADMIN = (
    ("AB_INSTANCE_ADMIN_PASSWORD", "instance-admin-password"),
    ("AB_INSTANCE_ADMIN_CLIENT_ID", "instance-admin-client-id"),
    ("AB_INSTANCE_ADMIN_CLIENT_SECRET", "instance-admin-client-secret"),
    ("AB_JWT_SIGNATURE_SECRET", "jwt-signature-secret"),
)
DATAPLANE = (
    ("DATAPLANE_CLIENT_ID", "dataplane-client-id"),
    ("DATAPLANE_CLIENT_SECRET", "dataplane-client-secret"),
)


@dataclass(frozen=True, kw_only=True)
class Component:
    """One part of the chart."""

    name: str
    v1: str
    v2: str
    image: str
    port: int
    database: bool = True
    secrets: tuple[tuple[str, str], ...] = ()
    first: str = "0"
    before: str = "99"
    on: bool = True

    def key(self, chart: Chart) -> str:
        """Return its key in the values."""
        return self.v2 if chart.line is Line.V2 else self.v1


COMPONENTS = (
    Component(
        name="server", v1="server", v2="server", image="airbyte/server", port=8001, secrets=ADMIN
    ),
    Component(name="worker", v1="worker", v2="worker", image="airbyte/worker", port=9000),
    Component(name="cron", v1="cron", v2="cron", image="airbyte/cron", port=9001),
    Component(
        name="workload-launcher",
        v1="workload-launcher",
        v2="workloadLauncher",
        image="airbyte/workload-launcher",
        port=8016,
        database=False,
        secrets=DATAPLANE,
    ),
    Component(
        name="workload-api-server",
        v1="workload-api-server",
        v2="workloadApiServer",
        image="airbyte/workload-api-server",
        port=8007,
    ),
    Component(
        name="temporal", v1="temporal", v2="temporal", image="temporalio/auto-setup", port=7233
    ),
    Component(
        name="connector-builder-server",
        v1="connector-builder-server",
        v2="connectorBuilderServer",
        image="airbyte/connector-builder-server",
        port=8080,
        database=False,
        before="2.1.0",
    ),
    Component(
        name="manifest-server",
        v1="",
        v2="manifestServer",
        image="airbyte/manifest-server",
        port=8080,
        database=False,
        first="2.1.0",
    ),
    Component(
        name="webapp",
        v1="webapp",
        v2="webapp",
        image="airbyte/webapp",
        port=8080,
        database=False,
        on=False,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """What Helm would send to Kubernetes."""

    config_map: Object
    secret: Object
    deployments: list[Object]
    bootloader: Object | None


class Renderer:
    """Renders one chart with one set of values."""

    def __init__(self, chart: Chart, values: Values) -> None:
        """Read the database's part first: it can fail the render."""
        self._chart = chart
        self._values = values
        self._database: Database = read_database(chart, values)

    def render(self) -> Rendered:
        """Make all objects."""
        return Rendered(
            config_map=self._config_map(),
            secret=self._secret(),
            deployments=[self._deployment(one) for one in COMPONENTS if self._wanted(one)]
            + self._minio(),
            bootloader=self._bootloader(),
        )

    def app_version(self) -> str:
        """AIRBYTE_VERSION follows the chart, not the image tag."""
        key = "global.version" if self._chart.line is Line.V2 else "version"
        return str(get(self._values, key) or self._chart.app_version)

    def _wanted(self, component: Component) -> bool:
        key = component.key(self._chart)
        there = self._chart.at_least(component.first)
        gone = component.before != "99" and self._chart.at_least(component.before)
        return (
            bool(key)
            and there
            and not gone
            and bool(get(self._values, f"{key}.enabled", component.on))
        )

    def _config_map(self) -> Object:
        v2 = self._chart.line is Line.V2
        group = get(self._values, "global.dataplaneGroups.defaultDataplaneGroupName", "")
        data = {
            "AIRBYTE_VERSION": self.app_version(),
            **self._database.config(),
            "TEMPORAL_HOST": f"{RELEASE}-temporal:7233",
            "WORKLOAD_API_HOST": f"http://{RELEASE}-workload-api-server-svc:8007",
            "INTERNAL_API_HOST": f"{RELEASE}-airbyte-server-svc:8001",
            "WORKER_ENVIRONMENT": "kubernetes",
            "API_AUTHORIZATION_ENABLED": str(self._auth()).lower(),
            "AIRBYTE_URL": str(get(self._values, "global.airbyteUrl", "")),
            "STORAGE_TYPE": str(get(self._values, "global.storage.type", "minio")),
            "SECRET_PERSISTENCE": "",
            "CONFIGS_DATABASE_MINIMUM_FLYWAY_MIGRATION_VERSION": "0.35.15.001",
            "JOBS_DATABASE_MINIMUM_FLYWAY_MIGRATION_VERSION": "0.29.15.001",
            "RUN_DATABASE_MIGRATION_ON_STARTUP": self._migrate(),
        }
        if v2:
            data["DEFAULT_DATAPLANE_GROUP_NAME"] = str(group)
        return _object("v1", "ConfigMap", ENV_MAP, data=data)

    def _auth(self) -> bool:
        default = self._chart.at_least("2.1.0") and not self._chart.at_least("2.4.0")
        return bool(get(self._values, "global.auth.enabled", default))

    def _auth_secret(self) -> str:
        v2 = self._chart.line is Line.V2
        key = "global.auth.managedSecretName" if v2 else "global.auth.secretName"
        return str(get(self._values, key) or AUTH_SECRET)

    def _migrate(self) -> str:
        if self._chart.line is Line.V2:
            return str(get(self._values, "global.migrations.runAtStartup", default=True)).lower()
        # The chart's `default` takes the boolean false for missing; only the string survives.
        found = get(self._values, "airbyte-bootloader.runDatabaseMigrationsOnStartup")
        return str(found or True).lower()

    def _secret(self) -> Object:
        data = {key: _encode(value) for key, value in self._database.own_secret().items()}
        return _object("v1", "Secret", f"{RELEASE}-airbyte-secrets", type="Opaque", data=data)

    def _tag(self, component: Component) -> str:
        if component.image == "temporalio/auto-setup":
            return "1.27.2"
        key = component.key(self._chart)
        own = get(self._values, f"{key}.image.tag")
        return str(own or get(self._values, "global.image.tag") or self._chart.app_version)

    def _environment(self, component: Component) -> list[Object]:
        found: list[Object] = []
        if component.name == "temporal":
            found += self._database.temporal()
        elif component.database:
            found += self._database.credentials()
        found += [_from_secret(env, self._auth_secret(), key) for env, key in component.secrets]
        for place in ("global.env_vars", f"{component.key(self._chart)}.env_vars"):
            pairs = get(self._values, place, {})
            found += [{"name": name, "value": str(value)} for name, value in pairs.items()]
        found += get(self._values, f"{component.key(self._chart)}.extraEnv", [])
        return found

    def _deployment(self, component: Component) -> Object:
        name = f"{RELEASE}-{component.name}"
        replicas = get(self._values, f"{component.key(self._chart)}.replicaCount", 1)
        if not isinstance(replicas, int) or isinstance(replicas, bool):
            msg = f"unable to install airbyte chart: replicaCount of {name} is {replicas!r}"
            raise AbctlError(msg)
        if replicas > 1:
            msg = f"lab: {name} asks for {replicas} replicas, the stand-in plays 0 or 1"
            raise AbctlError(msg)
        return _workload("Deployment", name, replicas, self._container(component))

    def _container(self, component: Component) -> Object:
        reads_map = component.name != "temporal"
        return {
            "name": f"airbyte-{component.name}",
            "image": f"{component.image}:{self._tag(component)}",
            "envFrom": [{"configMapRef": {"name": ENV_MAP}}] if reads_map else [],
            "env": self._environment(component),
            "ports": [{"containerPort": component.port}],
        }

    def _minio(self) -> list[Object]:
        default = None if get(self._values, "global.storage.type") else "minio"
        if get(self._values, "global.storage.type", default) != "minio":
            return []
        image = get(self._values, "minio.image.repository", "minio/minio")
        container = {"name": "airbyte-minio", "image": f"{image}:latest", "env": [], "ports": []}
        return [_workload("StatefulSet", "airbyte-minio", 1, container)]

    def _bootloader(self) -> Object | None:
        v2 = self._chart.line is Line.V2
        key = "airbyteBootloader" if v2 else "airbyte-bootloader"
        if not get(self._values, f"{key}.enabled", default=True):
            return None
        name = f"{RELEASE}-bootloader" if v2 else f"{RELEASE}-airbyte-bootloader"
        component = Component(name="bootloader", v1=key, v2=key, image="airbyte/bootloader", port=0)
        container = self._container(component)
        secret = {"name": "LAB_AUTH_SECRET_NAME", "value": self._auth_secret()}
        container["env"] = [*container["env"], secret]
        pod = _object("v1", "Pod", name)
        pod["spec"] = {"restartPolicy": "Never", "containers": [container]}
        return pod


def _workload(kind: str, name: str, replicas: int, container: Object) -> Object:
    labels = {"app.kubernetes.io/instance": RELEASE, "app.kubernetes.io/name": name}
    found = _object("apps/v1", kind, name, labels=labels)
    found["spec"] = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }
    return found


def _object(api: str, kind: str, name: str, **more: Any) -> Object:  # noqa: ANN401 - JSON
    metadata: Object = {"name": name, "namespace": NAMESPACE}
    if "labels" in more:
        metadata["labels"] = more.pop("labels")
    return {"apiVersion": api, "kind": kind, "metadata": metadata} | more


def _from_secret(env: str, secret: str, key: str) -> Object:
    return {"name": env, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
