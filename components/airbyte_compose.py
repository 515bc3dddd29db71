"""Prod in v0 and v1: the Airbyte of Docker Compose, made by us or running already."""

import pulumi

from airbyte import compose
from airbyte.inspection import CONTAINERS
from components.compose_adopt import adopt
from components.compose_args import AirbyteComposeArgs, ProdMode
from components.compose_create import create


class AirbyteCompose(pulumi.ComponentResource):
    """Airbyte under the names of its compose file; with `adopt`, nothing of it is touched."""

    TYPE = "airbyte-migration:index:AirbyteCompose"

    network: pulumi.Output[str]
    """Docker network on which the database is reachable."""
    url: str
    """Where people open it."""
    containers: tuple[str, ...]
    """What runs besides the database, in the order in which it is stopped."""
    ready: pulumi.Resource
    """Done when Airbyte answers (create) or was found in order (adopt)."""

    def __init__(
        self, name: str, args: AirbyteComposeArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Make or read the Airbyte that `args` describe."""
        super().__init__(self.TYPE, name, None, opts)
        self.url = args.address
        self.containers = compose.STOP_ORDER
        if args.mode is ProdMode.CREATE:
            created = create(name, args, parent=self)
            self.network, self.ready = created.network, created.ready
        else:
            adopted = adopt(name, parent=self, host=args.host, version=args.version)
            self.network, self.ready = adopted.network, adopted.inspection
            # docker-proxy has no fixed name there, and without the others nobody uses it.
            self.containers = tuple(
                container for container in compose.STOP_ORDER if container in CONTAINERS
            )
        self.register_outputs(
            {
                "url": self.url,
                "network": self.network,
                "database_container": compose.DATABASE_CONTAINER,
            }
        )
