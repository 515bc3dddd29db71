"""What exists on the hosts: one component a file. Nothing else imports a submodule from outside."""

from components.airbyte_abctl import AirbyteAbctl, AirbyteAbctlArgs
from components.airbyte_compose import AirbyteCompose
from components.compose_args import AirbyteComposeArgs, ProdMode
from components.core_worker import CoreWorker, CoreWorkerArgs, Endpoint
from components.db_migration import DbMigration, DbMigrationArgs
from components.db_migration_config import FeedArgs
from components.guard import GuardArgs, guard
from components.host import Host, HostArgs, Ssh
from components.postgres_server import PostgresServer, PostgresServerArgs, ServerKind

__all__ = [
    "AirbyteAbctl",
    "AirbyteAbctlArgs",
    "AirbyteCompose",
    "AirbyteComposeArgs",
    "CoreWorker",
    "CoreWorkerArgs",
    "DbMigration",
    "DbMigrationArgs",
    "Endpoint",
    "FeedArgs",
    "GuardArgs",
    "Host",
    "HostArgs",
    "PostgresServer",
    "PostgresServerArgs",
    "ProdMode",
    "ServerKind",
    "Ssh",
    "guard",
]
