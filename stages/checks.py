"""What the settings must be to each other and to the operator's machine, beyond their types."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko

from airbyte import compose, versions
from components.db_migration import GATEWAY_PORT
from stages import image_checks
from stages.models import CoreWorkerSettings, Feed, HostSettings, Operator, Prod, Replica, Stage
from stages.problems import Problem, remove_command, set_command

SSH_PORT = 22
KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")
"""Which of a host's keys is pinned when known_hosts has several."""
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
    _operator(raw, judged)
    judged.problems += _hosts(raw)
    judged.problems += _versions(raw)
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


def _operator(raw: Raw, judged: Judgement) -> None:
    if raw.operator is None:
        return
    identity = Path(raw.operator.identity_file).expanduser()
    if identity.is_file():
        judged.private_key = identity.read_text()
    else:
        judged.problems.append(
            Problem(
                key="operator.identityFile",
                found=f"{raw.operator.identity_file}, which is no file",
                needed="the operator's private SSH key",
                mend=set_command("operator.identityFile", "~/.ssh/id_ed25519"),
            )
        )
    path = Path(raw.operator.known_hosts_file).expanduser()
    try:
        trusted = paramiko.HostKeys(str(path))
    except (OSError, paramiko.SSHException):
        judged.problems.append(
            Problem(
                key="operator.knownHostsFile",
                found=f"{raw.operator.known_hosts_file}, which is no known_hosts file",
                needed="a file with the key of every host",
                mend=set_command("operator.knownHostsFile", "~/.ssh/known_hosts"),
            )
        )
        return
    for name, host in raw.hosts.items():
        _host_key(name, host, trusted, raw.operator.known_hosts_file, judged)


def _host_key(
    name: str, host: HostSettings, trusted: paramiko.HostKeys, file: str, judged: Judgement
) -> None:
    port = host.ssh_port
    known_as = host.address if port == SSH_PORT else f"[{host.address}]:{port}"
    keys: Mapping[str, paramiko.PKey] = trusted.lookup(known_as) or {}
    for kind in KEY_TYPES:
        if kind in keys:
            judged.host_keys[name] = f"{kind} {keys[kind].get_base64()}"
            return
    judged.problems.append(
        Problem(
            key=f"hosts.{name}.address",
            found=f"no key of `{known_as}` in {file}",
            needed="the host's key, compared with the host's own console",
            mend=f"ssh-keyscan -t ed25519 -p {port} {host.address} >> {file}",
        )
    )


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
    places: dict[tuple[str, int], list[str]] = defaultdict(list)
    for name, host in raw.hosts.items():
        places[host.address, host.ssh_port].append(name)
    for (address, port), names in places.items():
        for twin in names[1:]:
            yield Problem(
                key=f"hosts.{twin}.address",
                found=f"{address} port {port}, which is `{names[0]}` too",
                needed="one name for each host",
                mend=remove_command(f"hosts.{twin}"),
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


def _ports(raw: Raw) -> Iterable[Problem]:
    wanted: dict[tuple[str, int], list[tuple[str, str]]] = defaultdict(list)
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
