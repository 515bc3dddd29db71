"""An Airbyte that `abctl` runs in a kind cluster on one host."""

import hashlib
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
    """One Airbyte, its database, and its credentials."""

    host: Host
    chart: Chart
    port: int
    url: str | None
    """Where people open it, if not at the host's address and port."""
    low_resource: bool
    public_host: str | None
    """Name under which people open it, besides localhost."""
    database: ExternalDatabase
    database_user: str
    database_password: pulumi.Input[str]
    admin_password: pulumi.Input[str]
    client_secret: pulumi.Input[str]


class AirbyteAbctl(pulumi.ComponentResource):
    """Both renderings of an Airbyte on its host, and the one that its epoch asks for installed.

    Which one that is, is no input: the host-side script decides, so that `pulumi up` can not undo
    what happened at night. Without an epoch it is the standby.
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
        contents = {
            **{
                path: content
                for rendering in Rendering
                for path, content in _rendering(args, rendering).items()
            },
            "auth.yaml": _auth_secret(args),
        }
        uploads = [
            args.host.put(
                f"{name}-{path.replace('/', '-').rpartition('.')[0]}",
                f"{name}/{path}",
                content,
                parent=self,
                mode="0600" if isinstance(content, pulumi.Output) else "0644",
            )
            for path, content in contents.items()
        ]
        service = args.host.put(
            f"{name}-service", "services/airbyte", f"abctl {name}\n", parent=self
        )
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


def _rendering(args: AirbyteAbctlArgs, rendering: Rendering) -> dict[str, pulumi.Input[str]]:
    values = chart_values.values(args.chart, args.database, rendering)
    arguments = chart_values.install_arguments(
        args.chart, port=args.port, low_resource=args.low_resource, host=args.public_host
    )
    return {
        f"{rendering}/values.yaml": yaml.safe_dump(values),
        f"{rendering}/install.args": "\n".join(arguments) + "\n",
        f"{rendering}/secrets.yaml": pulumi.Output.secret(args.database_password).apply(
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
