"""What the settings must be to each other and to the operator's machine, beyond their types."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airbyte import compose, versions
from components.core_worker import AIRBYTE_ROLE, MIGRATION_ROLE
from components.db_migration import GATEWAY_PORT
from stages import image_checks, operator_checks
from stages.models import CoreWorkerSettings, Feed, HostSettings, Operator, Prod, Replica, Stage
from stages.problems import Problem, remove_command, set_command

SOURCES, TARGETS = ("prod",), ("core-worker-01",)
"""Databases that a feed of v1 can name."""


@dataclass(frozen=True, kw_only=True)
class Raw:
    """The settings key by key; what could not be read is None or empty."""

    stage: Stage | None
    deployment: str
    operator: Operator | None
    hosts: Mapping[str, HostSettings]
    host_names: Collection[str]
    """All of them, also those with a mistake inside."""
    images_file: str | None
    images: Mapping[str, Any] | None
    prod: Prod | None
    core_worker: CoreWorkerSettings | None
    replica: Replica | None
    feeds: list[Feed]


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
    judged.problems += _versions(raw)
    judged.problems += _core_worker(raw)
    judged.problems += _ports(raw)
    judged.problems += _feeds(raw)
    worker = raw.core_worker
    found = image_checks.judge(
        image_checks.needed(
            compose=raw.prod is not None and raw.prod.created,
            feed=worker is not None,
            postgres=worker is not None and worker.created,
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
        "coreWorker.host": raw.core_worker and raw.core_worker.host,
        "replica.host": raw.replica and raw.replica.host,
    }
    for key, name in uses.items():
        if name and raw.host_names and name not in raw.host_names:
            yield Problem(
                key=key,
                found=name,
                needed=f"a host of `hosts`: {', '.join(raw.host_names)}",
                mend=set_command(key, next(iter(raw.host_names))),
            )
        if name and key != "prod.host" and name == uses["prod.host"]:
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


def _versions(raw: Raw) -> Iterable[Problem]:
    if raw.prod and raw.prod.version not in versions.COMPOSE_VERSIONS:
        known = versions.COMPOSE_VERSIONS
        yield Problem(
            key="prod.version",
            found=raw.prod.version,
            needed=f"a release with this compose file, {known[0]} to {known[-1]}",
            mend=set_command("prod.version", known[-1]),
        )
    if raw.replica and raw.replica.chart_version not in versions.CHARTS:
        yield Problem(
            key="replica.chartVersion",
            found=raw.replica.chart_version,
            needed=f"a chart whose rendering is known: {', '.join(versions.CHARTS)}",
            mend=set_command("replica.chartVersion", versions.TARGET_CHART),
        )


def _core_worker(raw: Raw) -> Iterable[Problem]:
    if raw.core_worker is None:
        return
    admin = raw.core_worker.admin_endpoint
    if raw.core_worker.created and admin.sslmode != "require":
        key = "coreWorker.adminEndpoint.sslmode"
        yield Problem(
            key=key,
            found=admin.sslmode,
            needed="`require`: a server of ours takes TLS only, with a certificate of its own",
            mend=set_command(key, "require"),
        )
    if admin.user in (AIRBYTE_ROLE, MIGRATION_ROLE):
        key = "coreWorker.adminEndpoint.user"
        yield Problem(
            key=key,
            found=f"{admin.user}, which is a role that this program makes",
            needed="the superuser that the server has already",
            mend=set_command(key, "postgres"),
        )


def _ports(raw: Raw) -> Iterable[Problem]:
    wanted: dict[tuple[str, int], list[tuple[str, str]]] = defaultdict(list)
    for name, server in raw.hosts.items():
        wanted[name, server.seen_ssh_port].append((f"hosts.{name}.privateSshPort", "SSH"))
    if raw.prod:
        ports = {port for port in compose.PROXY_PORTS if port != compose.WEBAPP_PORT}
        for port in sorted(ports):
            wanted[raw.prod.host, port].append(("prod.port", "compose's proxy"))
        wanted[raw.prod.host, raw.prod.port].append(("prod.port", "prod's web app"))
        if raw.core_worker:
            wanted[raw.prod.host, GATEWAY_PORT].append(("prod.port", "the feed's gateway"))
    if raw.core_worker:
        owner = ("coreWorker.port", "core-worker-01")
        wanted[raw.core_worker.host, raw.core_worker.port].append(owner)
        if not raw.core_worker.created:
            owner = ("coreWorker.port", "the feed's tunnel")
            wanted[raw.core_worker.host, GATEWAY_PORT].append(owner)
    if raw.replica:
        owner = ("replica.port", "the replica's web app")
        wanted[raw.replica.host, raw.replica.port].append(owner)
    for (host, port), owners in wanted.items():
        if len(owners) > 1:
            key, _ = owners[-1]
            yield Problem(
                key=key,
                found=f"port {port} of `{host}` for " + " and ".join(who for _, who in owners),
                needed="a port of its own for each",
                mend=set_command(key, port + 100),
            )


def _feeds(raw: Raw) -> Iterable[Problem]:
    for number, feed in enumerate(raw.feeds):
        for side, name, known in (
            ("source", feed.source, SOURCES),
            ("target", feed.target, TARGETS),
        ):
            if name not in known:
                key = f"feeds[{number}].{side}"
                yield Problem(
                    key=key,
                    found=name,
                    needed=f"a database of this stage: {', '.join(known)}",
                    mend=set_command(key, known[0]),
                )
    for number in range(1, len(raw.feeds)):
        yield Problem(
            key=f"feeds[{number}]",
            found=f"a second feed, `{raw.feeds[number].name}`",
            needed="one feed, prod to core-worker-01: a mirror has one writer",
            mend=remove_command(f"feeds[{number}]"),
        )
