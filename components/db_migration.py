"""The DB Migration Script as a service: feeds beside a server, or the operator's tools alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_docker as docker
from pulumi_command import remote

from components import containers, prod_path, script_container
from components.containers import Place
from components.database_server import DatabaseServer
from components.host import Host, Script
from components.landscape import FeedArgs, Landscape, Viewpoint
from components.prod_path import ComposeSource
from components.script_container import Folder, Station


@dataclass(frozen=True, kw_only=True)
class DbMigrationArgs:
    """All feeds whose target is one server."""

    landscape: Landscape
    server: DatabaseServer
    feeds: Sequence[FeedArgs]
    image: str
    """Reference by digest."""
    source: ComposeSource
    migration_password: pulumi.Input[str]


class DbMigration(pulumi.ComponentResource):
    """The feeds, running; done when those that are live follow and are verified."""

    TYPE = "airbyte-migration:index:DbMigration"

    gateway: docker.Container
    status: pulumi.Output[str]
    """The script's own status as JSON, taken when the feeds were ready."""
    following: remote.Command

    def __init__(
        self, name: str, args: DbMigrationArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Lay the path that `args` describe, start the script and wait for the feeds."""
        super().__init__(self.TYPE, name, None, opts)
        source, server = args.source, args.server
        station = Station(
            name=name,
            landscape=args.landscape,
            here=Viewpoint(host=server.host, server=server, prod=prod_path.near_end(server)),
            image=_image(name, args.image, server.host, self),
            parent=self,
        )
        tunnel_key = station.key(prod_path.TUNNEL_KEY, prod_path.TUNNEL_OPTIONS)
        agent_key, authorized = station.commanding_key()
        before = [tunnel_key.authorized(source.host), *authorized]
        if source.gateway is None:
            before += prod_path.services(name, source, self)
            self.gateway = prod_path.gateway(name, source, args.image, self)
        else:
            self.gateway = source.gateway
        tunnel = prod_path.tunnel(station, source, tunnel_key, depends_on=[*before, self.gateway])
        folder = station.folder(
            args.feeds,
            {"migration": args.migration_password, "source_owner": source.owner_password},
        )
        agent = station.run(
            "run",
            agent_key,
            depends_on=[*before, *folder.files, tunnel, *server.contents.all],
        )
        self.following = _wait(station, args, agent, folder)
        self.status = self.following.stdout
        self.register_outputs({"status": self.status})


def _image(name: str, reference: str, host: Host, parent: pulumi.Resource) -> docker.RemoteImage:
    return containers.image(f"{name}-image", reference, Place(host=host, parent=parent))


def _wait(
    station: Station, args: DbMigrationArgs, agent: docker.Container, folder: Folder
) -> remote.Command:
    """Wait for the feeds that are live; again for a new container or another configuration."""
    seconds = max(feed.ready_seconds for feed in args.feeds)
    cut_over = args.landscape.cut_over
    # Nobody stands by on the copy that becomes prod's.
    working = "" if cut_over and cut_over.to.database == args.server.name else ",working"
    wait = f"status --json --wait following,verified{working} --deadline {seconds}"
    return station.here.host.run(
        f"{station.name}-following",
        Script(
            run=pulumi.Output.concat(
                script_container.execute(wait), f" # {folder.revision} ", agent.id
            ),
            logging=remote.Logging.STDERR,
        ),
        parent=station.parent,
        depends_on=[agent, *folder.files],
    )


@dataclass(frozen=True, kw_only=True)
class OperatorToolsArgs:
    """The script's command line on a host without a feed."""

    landscape: Landscape
    host: Host
    image: str
    """Reference by digest."""
    migration_password: pulumi.Input[str]


class OperatorTools(pulumi.ComponentResource):
    """The script, idle: for a failover when the hosts with databases can not be reached."""

    TYPE = "airbyte-migration:index:OperatorTools"

    def __init__(
        self, name: str, args: OperatorToolsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Keep the script ready on the host that `args` name."""
        super().__init__(self.TYPE, name, None, opts)
        station = Station(
            name=name,
            landscape=args.landscape,
            here=Viewpoint(host=args.host, server=None, prod=None),
            image=_image(name, args.image, args.host, self),
            parent=self,
        )
        key, authorized = station.commanding_key()
        folder = station.folder([], {"migration": args.migration_password})
        station.run("idle", key, depends_on=[*authorized, *folder.files])
        self.register_outputs({})
