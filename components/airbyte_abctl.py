"""An Airbyte that `abctl` runs in a kind cluster on one host."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import yaml
from pulumi_command import remote

from airbyte import chart_values
from airbyte.chart_values import ExternalDatabase, Rendering
from airbyte.versions import Chart
from components.host import HOSTCTL, Host, Script


@dataclass(frozen=True, kw_only=True)
class AirbyteAbctlArgs:
    """One Airbyte, the databases it may run on, and its credentials."""

    host: Host
    chart: Chart
    port: int
    url: str | None
    """Where people open it, if not at the host's address and port."""
    low_resource: bool
    public_host: str | None
    """Name under which people open it, besides localhost."""
    databases: Mapping[str, ExternalDatabase]
    """By the name of the server; it may become standby or active on each of them."""
    default: str
    """Rendering (`Rendering.on`) that is installed as long as the host has been told no epoch."""
    prepared: bool = False
    """Whether there is a rendering in which it is installed and nothing runs."""
    database_user: str
    """The instance's own login role."""
    database_password: pulumi.Input[str]
    admin_password: pulumi.Input[str]
    client_secret: pulumi.Input[str]


class AirbyteAbctl(pulumi.ComponentResource):
    """All renderings of an Airbyte on its host, and the one that its epoch asks for installed.

    Which one that is, is no input: the host-side script decides, so that `pulumi up` can not undo
    what happened at night. Without an epoch it is the default.
    """

    TYPE = "airbyte-migration:index:AirbyteAbctl"

    installed: remote.Command
    url: str

    def __init__(
        self, name: str, args: AirbyteAbctlArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Upload the renderings that `args` describe and apply one of them."""
        super().__init__(self.TYPE, name, None, opts)
        self.url = args.url or f"http://{args.host.args.ssh.address}:{args.port}"
        contents = _contents(args)
        uploads = [
            args.host.put(
                f"{name}-{path.partition('.')[0].replace('/', '-')}",
                f"{name}/{path}",
                content,
                parent=self,
                mode="0600" if isinstance(content, pulumi.Output) else "0644",
            )
            for path, content in contents.items()
        ]
        service = args.host.put(f"{name}-service", "services/abctl", f"abctl {name}\n", parent=self)
        self.installed = args.host.run(
            f"{name}-installed",
            Script(
                run=f"{HOSTCTL} apply {name}",
                # Changes with any file, so that a changed rendering is installed.
                stdin=_revision(list(contents.values())),
                delete=f"{HOSTCTL} uninstall {name}",
                logging=remote.Logging.STDERR,
            ),
            parent=self,
            depends_on=[*uploads, service],
        )
        self.register_outputs({"url": self.url, "chart": args.chart.version})


def _contents(args: AirbyteAbctlArgs) -> dict[str, pulumi.Input[str]]:
    """Return all files of the instance by their path."""
    found: dict[str, pulumi.Input[str]] = {}
    for server, database in args.databases.items():
        for rendering in (Rendering.STANDBY, Rendering.ACTIVE):
            found |= _rendering(args, rendering, rendering.on(server), database)
    if args.prepared:
        # The chart wants some database; nothing runs that would connect to it.
        database = next(iter(args.databases.values()))
        found |= _rendering(args, Rendering.PREPARED, Rendering.PREPARED, database)
    return found | {"auth.yaml": _auth_secret(args), "default": f"{args.default}\n"}


def _rendering(
    args: AirbyteAbctlArgs, rendering: Rendering, folder: str, database: ExternalDatabase
) -> dict[str, pulumi.Input[str]]:
    values = chart_values.values(args.chart, database, rendering)
    arguments = chart_values.install_arguments(
        args.chart, port=args.port, low_resource=args.low_resource, host=args.public_host
    )
    return {
        f"{folder}/values.yaml": yaml.safe_dump(values),
        f"{folder}/install.args": "\n".join(arguments) + "\n",
        f"{folder}/secrets.yaml": pulumi.Output.secret(args.database_password).apply(
            lambda password: yaml.safe_dump(
                chart_values.config_secret(user=args.database_user, password=password)
            )
        ),
    }


def _auth_secret(args: AirbyteAbctlArgs) -> pulumi.Output[str]:
    both = pulumi.Output.all(
        admin_password=pulumi.Output.secret(args.admin_password),
        client_secret=pulumi.Output.secret(args.client_secret),
    )
    return both.apply(lambda secrets: yaml.safe_dump(chart_values.auth_secret(**secrets)))


def _revision(contents: list[pulumi.Input[str]]) -> pulumi.Output[str]:
    return pulumi.Output.all(*contents).apply(
        lambda texts: hashlib.sha256("\0".join(texts).encode()).hexdigest()
    )
