"""What the settings must be to each other and to the operator's machine, beyond their types."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from airbyte import compose
from components.airbyte_databases import INSTANCE_ROLES, OWNERS
from components.prod_path import GATEWAY_PORT
from stages import feed_checks, final_checks, image_checks, operator_checks, version_checks
from stages.problems import Problem, remove_command, set_command
from stages.raw import Raw

OWNERS_OF_PORTS = {
    "coreWorker": "core-worker-01",
    "intermediary": "the intermediary",
    "replica": "the replica's web app",
    "prodAbctl": "the web app of prod's abctl",
}
OUR_ROLES = {*INSTANCE_ROLES, *OWNERS.values()}


@dataclass(kw_only=True)
class Judgement:
    """What was found on the operator's machine, and what is wrong."""

    problems: list[Problem] = field(default_factory=list)
    private_key: str = ""
    host_keys: dict[str, str] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)


def judge(raw: Raw) -> Judgement:
    """Check everything that needs more than one key, or a look at a file."""
    judged = Judgement()
    if raw.operator is not None:
        files = operator_checks.judge(raw.operator, raw.hosts)
        judged.problems += files.problems
        judged.private_key, judged.host_keys = files.private_key, files.host_keys
    judged.problems += _hosts(raw)
    judged.problems += version_checks.judge(raw)
    judged.problems += _servers(raw)
    judged.problems += _ports(raw)
    judged.problems += feed_checks.judge(raw)
    judged.problems += final_checks.judge(raw)
    found = image_checks.judge(
        image_checks.needed(
            compose=raw.prod is not None and raw.prod.created,
            feed=bool(raw.servers),
            postgres=any(server.created for server in raw.servers.values()),
        ),
        file=raw.images_file,
        inline=raw.images,
    )
    judged.problems += found.problems
    judged.images = found.references
    return judged


def _hosts(raw: Raw) -> Iterable[Problem]:
    uses = {
        "prod.host": raw.prod and raw.prod.host,
        **{f"{key}.host": server.host for key, server in raw.servers.items()},
        **{f"{key}.host": airbyte.host for key, airbyte in raw.abctls.items()},
    }
    for key, name in uses.items():
        if name and raw.host_names and name not in raw.host_names:
            yield Problem(
                key=key,
                found=name,
                needed=f"a host of `hosts`: {', '.join(raw.host_names)}",
                mend=set_command(key, next(iter(raw.host_names))),
            )
        if key in ("coreWorker.host", "replica.host") and name and name == uses["prod.host"]:
            yield Problem(
                key=key,
                found=f"{name}, prod's own host",
                needed="another host: what stands in for prod must outlive it",
                mend=set_command(key, next((h for h in raw.host_names if h != name), "replica")),
            )
    yield from _twins(raw)


def _twins(raw: Raw) -> Iterable[Problem]:
    """Find hosts that are one and the same, as the operator or as the other hosts see them."""
    flagged: set[str] = set()
    hosts = raw.hosts.items()
    for key, places in (
        ("address", [(name, host.address, host.ssh_port) for name, host in hosts]),
        ("privateAddress", [(name, host.seen_address, host.seen_ssh_port) for name, host in hosts]),
    ):
        first: dict[tuple[str, int], str] = {}
        for name, address, port in places:
            twin = first.setdefault((address, port), name)
            if twin == name or name in flagged:
                continue
            flagged.add(name)
            yield Problem(
                key=f"hosts.{name}.{key}",
                found=f"{address} port {port}, which is `{twin}` too",
                needed="one name for each host",
                mend=remove_command(f"hosts.{name}"),
            )


def _servers(raw: Raw) -> Iterable[Problem]:
    for name, server in raw.servers.items():
        admin = server.admin_endpoint
        if server.created and admin.sslmode != "require":
            key = f"{name}.adminEndpoint.sslmode"
            yield Problem(
                key=key,
                found=admin.sslmode,
                needed="`require`: a server of ours takes TLS only, with a certificate of its own",
                mend=set_command(key, "require"),
            )
        if admin.user in OUR_ROLES:
            key = f"{name}.adminEndpoint.user"
            yield Problem(
                key=key,
                found=f"{admin.user}, which is a role that this program makes",
                needed="the superuser that the server has already",
                mend=set_command(key, "postgres"),
            )


def _ports(raw: Raw) -> Iterable[Problem]:
    wanted: dict[tuple[str, int], list[tuple[str, str]]] = defaultdict(list)
    for host, port, key, owner in _listeners(raw):
        wanted[host, port].append((key, owner))
    for (host, port), owners in wanted.items():
        if len(owners) > 1:
            key, _ = owners[-1]
            yield Problem(
                key=key,
                found=f"port {port} of `{host}` for " + " and ".join(who for _, who in owners),
                needed="a port of its own for each",
                mend=set_command(key, port + 100),
            )


def _listeners(raw: Raw) -> Iterable[tuple[str, int, str, str]]:
    """Yield host, port, key and owner; of a clash the last one is asked to move."""
    for name, server in raw.hosts.items():
        yield name, server.seen_ssh_port, f"hosts.{name}.privateSshPort", "SSH"
    if raw.prod:
        for port in sorted({port for port in compose.PROXY_PORTS if port != compose.WEBAPP_PORT}):
            yield raw.prod.host, port, "prod.port", "compose's proxy"
        yield raw.prod.host, raw.prod.port, "prod.port", "prod's web app"
        if raw.core_worker:
            yield raw.prod.host, GATEWAY_PORT, "prod.port", "the feed's gateway"
    for key, database in raw.servers.items():
        yield database.host, database.port, f"{key}.port", OWNERS_OF_PORTS[key]
        if not database.created:
            yield database.host, GATEWAY_PORT, f"{key}.port", "the feed's tunnel"
    for key, airbyte in raw.abctls.items():
        yield airbyte.host, airbyte.port, f"{key}.port", OWNERS_OF_PORTS[key]
