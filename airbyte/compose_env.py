"""Values of the compose file's `.env`, and each service's environment made from them."""

from collections.abc import Mapping
from typing import TypeVar

from airbyte import compose
from airbyte.compose import Service

Value = TypeVar("Value")

SECRET_KEYS = frozenset({"DATABASE_PASSWORD", "BASIC_AUTH_PASSWORD"})
"""Keys of `.env` whose values come from the settings and stay sealed."""

DEFAULTS: dict[str, str] = {
    "BASIC_AUTH_PROXY_TIMEOUT": "900",
    "BASIC_AUTH_USERNAME": compose.BASIC_AUTH_USER,
    "CONFIGS_DATABASE_MINIMUM_FLYWAY_MIGRATION_VERSION": "0.40.23.002",
    "CONFIG_ROOT": "/data",
    "CONNECTOR_BUILDER_API_HOST": "airbyte-connector-builder-server:8080",
    "CONNECTOR_BUILDER_SERVER_API_HOST": "http://airbyte-connector-builder-server:8080",
    "DATABASE_DB": compose.DATABASE_NAME,
    "DATABASE_HOST": "db",
    "DATABASE_PORT": str(compose.DATABASE_PORT),
    # Airbyte's applications read the URL, Temporal reads host and port: all three must agree.
    "DATABASE_URL": f"jdbc:postgresql://db:{compose.DATABASE_PORT}/{compose.DATABASE_NAME}",
    "DATABASE_USER": compose.DATABASE_OWNER,
    "FEATURE_FLAG_CLIENT": "config",
    "HACK_LOCAL_ROOT_PARENT": "/tmp",  # noqa: S108 - Airbyte's own path
    "INTERNAL_API_HOST": "http://airbyte-server:8001",
    "JOBS_DATABASE_MINIMUM_FLYWAY_MIGRATION_VERSION": "0.40.26.001",
    "LOCAL_DOCKER_MOUNT": compose.VolumeName.LOCAL_ROOT,
    "LOCAL_ROOT": "/tmp/airbyte_local",  # noqa: S108
    "LOG_LEVEL": "INFO",
    "MAX_CHECK_WORKERS": "5",
    "MAX_NOTIFY_WORKERS": "5",
    "MAX_SYNC_WORKERS": "10",
    "MICRONAUT_ENVIRONMENTS": "control-plane",
    # The table `secrets` of the same database: leaving it out loses every connector's password.
    "SECRET_PERSISTENCE": "TESTING_CONFIG_DB_TABLE",
    "SHOULD_RUN_NOTIFY_WORKFLOWS": "true",
    "STORAGE_BUCKET_LOG": "airbyte-dev-logs",
    "STORAGE_BUCKET_STATE": "state-storage",
    "STORAGE_BUCKET_WORKLOAD_OUTPUT": "state-storage",
    "STORAGE_TYPE": "local",
    "SYNC_JOB_INIT_RETRY_TIMEOUT_MINUTES": "5",
    "SYNC_JOB_MAX_ATTEMPTS": "3",
    "SYNC_JOB_MAX_TIMEOUT_DAYS": "3",
    "TEMPORAL_HOST": "airbyte-temporal:7233",
    "TRACKING_STRATEGY": "logging",
    "WORKSPACE_DOCKER_MOUNT": compose.VolumeName.WORKSPACE,
    "WORKSPACE_ROOT": "/tmp/workspace",  # noqa: S108
}

FILES: dict[compose.File, str] = {
    compose.File.FLAGS: (
        'flags:\n  - name: heartbeat-max-seconds-between-messages\n    serve: "10800"\n'
    ),
    compose.File.TEMPORAL: (
        "frontend.enableUpdateWorkflowExecution:\n  - value: true\n"
        "limit.blobSize.error:\n  - value: 15728640\n    constraints: {}\n"
        "limit.blobSize.warn:\n  - value: 10485760\n    constraints: {}\n"
    ),
}
"""Content of the files that lie beside the compose file, reduced to what Airbyte needs."""


def dotenv(*, version: str, webapp_url: str) -> dict[str, str]:
    """Return `.env` without its secrets."""
    return {**DEFAULTS, "VERSION": version, "WEBAPP_URL": webapp_url}


def environment(service: Service, values: Mapping[str, Value]) -> dict[str, Value | str]:
    """Return the service's environment from `values`; what `.env` lacks is empty, as in compose."""
    resolved: dict[str, Value | str] = {}
    for entry in service.env:
        key, _, source = entry.partition("=")
        if source.startswith("'"):
            resolved[key] = source.strip("'")
        else:
            resolved[key] = values.get(source or key, "")
    return resolved
