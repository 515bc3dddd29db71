"""What exists on the hosts: one component a file. Nothing else imports a submodule from outside."""

from components.airbyte_abctl import AirbyteAbctl, AirbyteAbctlArgs
from components.airbyte_compose import AirbyteCompose
from components.airbyte_databases import Passwords
from components.compose_args import AirbyteComposeArgs, ProdMode
from components.core_worker import CoreWorker
from components.database_server import DatabaseServer, DatabaseServerArgs, Endpoint
from components.db_migration import (
    DbMigration,
    DbMigrationArgs,
    OperatorTools,
    OperatorToolsArgs,
)
from components.guard import GuardArgs, guard
from components.host import Host, HostArgs, Script, Ssh
from components.intermediary import Intermediary
from components.landscape import (
    AbctlInstance,
    Active,
    ComposeInstance,
    CutOver,
    FeedArgs,
    Landscape,
    Schedules,
)
from components.postgres_server import PostgresServer, PostgresServerArgs, ServerKind
from components.prod_path import ComposeSource
from components.script_container import execute

__all__ = [
    "AbctlInstance",
    "Active",
    "AirbyteAbctl",
    "AirbyteAbctlArgs",
    "AirbyteCompose",
    "AirbyteComposeArgs",
    "ComposeInstance",
    "ComposeSource",
    "CoreWorker",
    "CutOver",
    "DatabaseServer",
    "DatabaseServerArgs",
    "DbMigration",
    "DbMigrationArgs",
    "Endpoint",
    "FeedArgs",
    "GuardArgs",
    "Host",
    "HostArgs",
    "Intermediary",
    "Landscape",
    "OperatorTools",
    "OperatorToolsArgs",
    "Passwords",
    "PostgresServer",
    "PostgresServerArgs",
    "ProdMode",
    "Schedules",
    "Script",
    "ServerKind",
    "Ssh",
    "execute",
    "guard",
]
