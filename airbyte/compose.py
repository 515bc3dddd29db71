"""The services of Airbyte's Docker Compose file, releases 0.63.9 to 0.63.19, as one typed table.

Container and volume names are fixed by that file; networks are named after the folder it lies in.
"""

from dataclasses import dataclass, field
from enum import StrEnum, unique

from airbyte import images

INTERNAL_NETWORK = "airbyte_internal"
PUBLIC_NETWORK = "airbyte_public"

DATABASE_CONTAINER = "airbyte-db"
DATABASE_PORT = 5432
DATABASE_OWNER = "docker"
"""Superuser of the compose database: the image makes it from POSTGRES_USER."""
DATABASE_NAME = "airbyte"

API_PORT = 8001
"""Unauthenticated inside the network; behind basic auth on the proxy."""
WEBAPP_PORT = 8000
BASIC_AUTH_USER = "airbyte"
PROXY_PORTS = (8000, 8001, 8003, 8006)
"""Published by the proxy under the same numbers; nothing listens on 8006."""


@unique
class VolumeName(StrEnum):
    """Docker volumes under the names that `.env` gives them."""

    DB = "airbyte_db"
    WORKSPACE = "airbyte_workspace"
    DATA = "airbyte_data"
    LOCAL_ROOT = "oss_local_root"


@unique
class File(StrEnum):
    """Files that the compose folder holds and a service reads."""

    FLAGS = "flags.yml"
    TEMPORAL = "temporal/dynamicconfig/development.yaml"


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A volume or a host path inside a container."""

    target: str
    volume: VolumeName | None = None
    host_path: str | None = None


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service of the compose file."""

    name: str
    """Key in the compose file, and the name other services resolve."""
    container_name: str
    image: str
    one_shot: bool = False
    """Runs once and must end with exit code 0 before its dependents start."""
    ports: tuple[int, ...] = ()
    """Published under the same number. Compose also publishes docker-proxy, worker, server and
    builder on random ports of all interfaces, without authentication: not repeated here."""
    mounts: tuple[Mount, ...] = ()
    files: tuple[tuple[File, str], ...] = ()
    """Files of the compose folder and where the container expects them."""
    env: tuple[str, ...] = ()
    """`KEY` takes the value of `.env`; `KEY=OTHER` takes OTHER's; `KEY='text'` is a constant."""
    command: tuple[str, ...] = ()
    user: str | None = None
    after: tuple[str, ...] = ()
    """Services that must have ended well (one-shots) or be started before this one."""
    networks: tuple[str, ...] = field(default=(INTERNAL_NETWORK,))
    stop_seconds: int = 10

    @property
    def restart(self) -> str:
        """Docker's restart policy."""
        return "no" if self.one_shot or self.name == "docker-proxy" else "unless-stopped"


_WORKSPACE = Mount(target="/tmp/workspace", volume=VolumeName.WORKSPACE)  # noqa: S108 - Airbyte's own path
_LOCAL_ROOT = Mount(target="/tmp/airbyte_local", volume=VolumeName.LOCAL_ROOT)  # noqa: S108
_DATABASE_ENV = ("DATABASE_PASSWORD", "DATABASE_URL", "DATABASE_USER")
_CONFIG_DATABASE_ENV = ("CONFIG_DATABASE_PASSWORD", "CONFIG_DATABASE_URL", "CONFIG_DATABASE_USER")
_MINIMUM_SCHEMA_ENV = (
    "CONFIGS_DATABASE_MINIMUM_FLYWAY_MIGRATION_VERSION",
    "JOBS_DATABASE_MINIMUM_FLYWAY_MIGRATION_VERSION",
)
_COMMON_ENV = ("AIRBYTE_VERSION=VERSION", "LOG_LEVEL", "TRACKING_STRATEGY")
_STORAGE_ENV = (
    "SECRET_PERSISTENCE",
    "STORAGE_BUCKET_LOG",
    "STORAGE_BUCKET_STATE",
    "STORAGE_BUCKET_WORKLOAD_OUTPUT",
    "STORAGE_TYPE",
)
_APPLICATION_ENV = (
    *_COMMON_ENV,
    *_DATABASE_ENV,
    *_CONFIG_DATABASE_ENV,
    *_MINIMUM_SCHEMA_ENV,
    *_STORAGE_ENV,
    "CONFIG_ROOT",
    "FEATURE_FLAG_CLIENT",
    "MICRONAUT_ENVIRONMENTS",
    "TEMPORAL_HOST",
    "WEBAPP_URL",
    "WORKSPACE_ROOT",
)
_WORKER_ENV = (
    *_APPLICATION_ENV,
    "DOCKER_HOST='docker-proxy:2375'",
    "INTERNAL_API_HOST",
    "LOCAL_DOCKER_MOUNT",
    "LOCAL_ROOT",
    "MAX_CHECK_WORKERS",
    "MAX_NOTIFY_WORKERS",
    "MAX_SYNC_WORKERS",
    "SHOULD_RUN_NOTIFY_WORKFLOWS",
    "SYNC_JOB_INIT_RETRY_TIMEOUT_MINUTES",
    "SYNC_JOB_MAX_ATTEMPTS",
    "SYNC_JOB_MAX_TIMEOUT_DAYS",
    "WORKSPACE_DOCKER_MOUNT",
)
_FLAGS = (File.FLAGS, "/flags")

SERVICES: tuple[Service, ...] = (
    Service(
        name="docker-proxy",
        container_name="airbyte-docker-proxy",
        image=images.SOCAT,
        command=(
            *("-d", "-d", "-t", "900"),
            "TCP-LISTEN:2375,fork,reuseaddr",
            "UNIX-CONNECT:/var/run/docker.sock",
        ),
        user="root",
        mounts=(Mount(target="/var/run/docker.sock", host_path="/var/run/docker.sock"),),
    ),
    Service(
        name="init",
        container_name="init",
        image="airbyte/init",
        one_shot=True,
        env=("LOCAL_ROOT", "HACK_LOCAL_ROOT_PARENT"),
        command=(
            "/bin/sh",
            "-c",
            "./scripts/create_mount_directories.sh /local_parent /tmp /tmp/airbyte_local",
        ),
        mounts=(Mount(target="/local_parent", host_path="/tmp"),),  # noqa: S108
    ),
    Service(
        name="db",
        container_name=DATABASE_CONTAINER,
        image="airbyte/db",
        env=(
            *_DATABASE_ENV,
            *_CONFIG_DATABASE_ENV,
            "POSTGRES_PASSWORD=DATABASE_PASSWORD",
            "POSTGRES_USER=DATABASE_USER",
        ),
        mounts=(Mount(target="/var/lib/postgresql/data", volume=VolumeName.DB),),
        stop_seconds=60,
    ),
    Service(
        name="bootloader",
        container_name="airbyte-bootloader",
        image="airbyte/bootloader",
        one_shot=True,
        env=(*_COMMON_ENV, *_DATABASE_ENV, "LOCAL_CONNECTOR_CATALOG_PATH"),
        after=("init", "db"),
    ),
    Service(
        name="airbyte-temporal",
        container_name="airbyte-temporal",
        image="airbyte/temporal",
        env=(
            "DB='postgresql'",
            "DB_PORT=DATABASE_PORT",
            "DYNAMIC_CONFIG_FILE_PATH='config/dynamicconfig/development.yaml'",
            "LOG_LEVEL",
            "POSTGRES_PWD=DATABASE_PASSWORD",
            "POSTGRES_SEEDS=DATABASE_HOST",
            "POSTGRES_USER=DATABASE_USER",
        ),
        files=((File.TEMPORAL, "/etc/temporal/config/dynamicconfig/development.yaml"),),
        after=("db",),
    ),
    Service(
        name="worker",
        container_name="airbyte-worker",
        image="airbyte/worker",
        env=_WORKER_ENV,
        mounts=(_WORKSPACE, _LOCAL_ROOT),
        files=(_FLAGS,),
        after=("bootloader", "docker-proxy", "airbyte-temporal"),
    ),
    Service(
        name="server",
        container_name="airbyte-server",
        image="airbyte/server",
        env=(*_APPLICATION_ENV, "CONNECTOR_BUILDER_SERVER_API_HOST", "MAX_NOTIFY_WORKERS"),
        mounts=(
            _WORKSPACE,
            Mount(target="/data", volume=VolumeName.DATA),
            _LOCAL_ROOT,
        ),
        files=(_FLAGS,),
        after=("bootloader", "airbyte-temporal"),
    ),
    Service(
        name="webapp",
        container_name="airbyte-webapp",
        image="airbyte/webapp",
        env=(
            "INTERNAL_API_HOST",
            "CONNECTOR_BUILDER_API_HOST",
            "KEYCLOAK_INTERNAL_HOST='localhost'",
        ),
        after=("bootloader",),
    ),
    Service(
        name="airbyte-cron",
        container_name="airbyte-cron",
        image="airbyte/cron",
        env=(
            *_COMMON_ENV,
            *_DATABASE_ENV,
            *_MINIMUM_SCHEMA_ENV,
            "MICRONAUT_ENVIRONMENTS",
            "TEMPORAL_HOST",
            "WORKSPACE_ROOT",
        ),
        mounts=(_WORKSPACE,),
        files=(_FLAGS,),
        after=("bootloader", "airbyte-temporal"),
    ),
    Service(
        name="airbyte-connector-builder-server",
        container_name="airbyte-connector-builder-server",
        image="airbyte/connector-builder-server",
        env=_COMMON_ENV,
        after=("bootloader",),
    ),
    Service(
        name="airbyte-proxy",
        container_name="airbyte-proxy",
        image="airbyte/proxy",
        ports=PROXY_PORTS,
        env=("BASIC_AUTH_USERNAME", "BASIC_AUTH_PASSWORD", "BASIC_AUTH_PROXY_TIMEOUT"),
        networks=(INTERNAL_NETWORK, PUBLIC_NETWORK),
        after=("webapp", "server"),
    ),
)
"""In an order in which every service comes after those it needs."""

BY_NAME: dict[str, Service] = {service.name: service for service in SERVICES}

STOP_ORDER: tuple[str, ...] = tuple(
    service.container_name
    for service in reversed(SERVICES)
    if not service.one_shot and service.name != "db"
)
"""Containers of a running Airbyte without its database, users first."""
