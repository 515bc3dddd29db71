"""An Airbyte that `abctl` runs in a kind cluster on one host."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import yaml
from pulumi_command import remote

from airbyte import chart_secrets, chart_values, versions
from airbyte.chart_values import Access, ExternalDatabase, Wish
from airbyte.renderings import Rendering
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
    more_values: Mapping[str, Any] = field(default_factory=dict)
    """The owner's own values for the chart; they win."""
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
    program_sha256: Mapping[str, str] = field(default_factory=dict)
    """Of the official release of abctl, by `uname -m`: a host without abctl may fetch that."""

    @property
    def seen_url(self) -> str:
        """Return where people open it."""
        return self.url or f"http://{self.host.args.ssh.address}:{self.port}"


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
        self.url = args.seen_url
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
        program = args.host.run(
            f"{name}-program",
            Script(
                run=f"{HOSTCTL} program ensure {_release(args.program_sha256)}",
                logging=remote.Logging.STDERR,
            ),
            parent=self,
            depends_on=[args.host.hostctl],
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
            depends_on=[*uploads, service, program],
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
    return found | {
        "auth.yaml": _auth_secret(args),
        "default": f"{args.default}\n",
        "airbyte": f"{args.chart.airbyte}\n",
    }


def _rendering(
    args: AirbyteAbctlArgs, rendering: Rendering, folder: str, database: ExternalDatabase
) -> dict[str, pulumi.Input[str]]:
    wish = Wish(
        chart=args.chart,
        access=Access(url=args.seen_url, host=args.public_host),
        low_resource=args.low_resource,
        more=args.more_values,
    )
    return {
        f"{folder}/values.yaml": yaml.safe_dump(chart_values.values(wish, database, rendering)),
        f"{folder}/install.args": _lines(chart_values.install_arguments(wish, port=args.port)),
        f"{folder}/secrets.yaml": pulumi.Output.secret(args.database_password).apply(
            lambda password: yaml.safe_dump(
                chart_secrets.config_secret(user=args.database_user, password=password)
            )
        ),
    }


def _release(sha256: Mapping[str, str]) -> str:
    """Return abctl's pinned version, and the checksums of its releases as `MACHINE=SHA256`."""
    sums = (f"{machine}={digest}" for machine, digest in sha256.items())
    return " ".join([versions.ABCTL_VERSION, *sums])


def _lines(words: list[str]) -> str:
    return "\n".join(words) + "\n"


def _auth_secret(args: AirbyteAbctlArgs) -> pulumi.Output[str]:
    all_three = pulumi.Output.all(
        admin_password=pulumi.Output.secret(args.admin_password),
        client_secret=pulumi.Output.secret(args.client_secret),
        # All instances have it, so that a token is good on whichever of them is prod.
        shared=pulumi.Output.secret(args.database_password),
    )
    return all_three.apply(lambda given: yaml.safe_dump(chart_secrets.auth_secret(**given)))


def _revision(contents: list[pulumi.Input[str]]) -> pulumi.Output[str]:
    return pulumi.Output.all(*contents).apply(
        lambda texts: hashlib.sha256("\0".join(texts).encode()).hexdigest()
    )
