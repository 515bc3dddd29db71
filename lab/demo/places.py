"""Where the lab's Airbytes and databases are for somebody outside the hosts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import psycopg

from lab.load_target import Login

COMPOSE, ABCTL, REPLICA = "airbyte-prod", "airbyte-prod-abctl", "airbyte-prod-backup-replica-2"
AIRBYTES = {
    COMPOSE: "http://127.0.0.1:18000",
    ABCTL: "http://127.0.0.1:18100",
    REPLICA: "http://127.0.0.1:28000",
}
"""Airbyte -> its URL on the operator's machine."""

SERVERS = {"core-worker-01": 25432, "intermediary": 35432}
"""Database server -> its port on the operator's loopback."""

WORLD = "http://127.0.0.1:18080"
CLIENT_ID = "airbyte-migration"
WRITERS = {
    COMPOSE: "compose@198.51.100.11",
    ABCTL: "prod@198.51.100.11",
    REPLICA: "replica@198.51.100.12",
}
"""Airbyte -> the name under which its connectors are in the ledger of the outside world."""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What the demo needs to look from outside."""

    prod_basic_auth: str
    admins: Mapping[str, str]
    """Database server -> its administrator's password."""
    client_secrets: Mapping[str, str]
    """abctl Airbyte -> the secret of its client."""

    def logins(self) -> dict[str, Login]:
        """How the load signs in at each Airbyte."""
        clients = {
            AIRBYTES[name]: Login(client_id=CLIENT_ID, client_secret=secret)
            for name, secret in self.client_secrets.items()
        }
        return {AIRBYTES[COMPOSE]: Login(user="airbyte", password=self.prod_basic_auth), **clients}

    def connect(self, server: str, database: str) -> psycopg.Connection[tuple[object, ...]]:
        """Connect to a database server of ours as its administrator, over TLS."""
        return psycopg.connect(
            host="127.0.0.1",
            port=SERVERS[server],
            dbname=database,
            user="postgres",
            password=self.admins[server],
            sslmode="require",
            autocommit=True,
        )


def credentials(secret: Callable[[str], str]) -> Credentials:
    """Read the lab's passwords; `secret` opens a setting of the committed stack file."""
    return Credentials(
        prod_basic_auth=secret("prodBasicAuthPassword"),
        admins={
            "core-worker-01": secret("coreWorkerAdminPassword"),
            "intermediary": secret("intermediaryAdminPassword"),
        },
        client_secrets={
            ABCTL: secret("prodClientSecret"),
            REPLICA: secret("replicaClientSecret"),
        },
    )
