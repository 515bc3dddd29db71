"""The only reader of `pulumi.Config`: every key checked, all mistakes told at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pulumi
from pulumi.runtime.config import (
    CONFIG,
    get_config_env,
    get_config_secret_keys_env,
    is_config_secret,
)

from stages import checks
from stages.database_models import CoreWorkerSettings, IntermediarySettings
from stages.models import (
    AbctlSha256,
    CutOverWish,
    Drain,
    Feed,
    HostSettings,
    Operator,
    Prod,
    ProdAbctl,
    Replica,
    SchedulesSettings,
    Stage,
)
from stages.problems import (
    NAMESPACE,
    UNKNOWN_KEY,
    SettingsError,
    remove_command,
    secret_command,
    set_command,
)
from stages.raw import Raw
from stages.reading import Reader

PLAIN_KEYS = ("stage", "deployment", "operator", "hosts", "imagesFile", "images", "prod")
PROD_SECRETS = ("prodDatabasePassword", "prodBasicAuthPassword")
KEYS_SINCE = {
    Stage.V1: ("coreWorker", "replica", "feeds", "schedules", "abctlSha256"),
    Stage.V2: ("intermediary", "prodAbctl", "cutover", "drain"),
}
SECRETS_SINCE = {
    Stage.V1: (
        "coreWorkerAdminPassword",
        "airbyteDatabasePassword",
        "migrationPassword",
        "replicaAdminPassword",
        "replicaClientSecret",
    ),
    Stage.V2: ("intermediaryAdminPassword", "prodAdminPassword", "prodClientSecret"),
}
LATER_KEYS = {key: since for since, keys in KEYS_SINCE.items() for key in keys}
LATER_SECRETS = {key: since for since, keys in SECRETS_SINCE.items() for key in keys}
SECRETS = (*PROD_SECRETS, *LATER_SECRETS)
KNOWN = (*PLAIN_KEYS, *LATER_KEYS, *SECRETS)


@dataclass(frozen=True, kw_only=True)
class ReachableHost:
    """A host with the key that it must show."""

    settings: HostSettings
    host_key: str


@dataclass(frozen=True, kw_only=True)
class CopySettings:
    """What v1 adds: the copy, its server and its Airbyte."""

    core_worker: CoreWorkerSettings
    replica: Replica
    feeds: tuple[Feed, ...]
    schedules: SchedulesSettings
    abctl_sha256: AbctlSha256


@dataclass(frozen=True, kw_only=True)
class FinalSettings:
    """What v2 adds: the server that prod moves to, its Airbyte there, and whether it moves."""

    intermediary: IntermediarySettings
    prod_abctl: ProdAbctl
    cutover: CutOverWish
    drain: Drain


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One stack's settings, all of them good. Secrets stay Outputs."""

    stage: Stage
    deployment: str
    operator: Operator
    private_key: pulumi.Output[str]
    hosts: Mapping[str, ReachableHost]
    images: Mapping[str, str]
    prod: Prod
    copy: CopySettings | None
    """None in v0."""
    final: FinalSettings | None
    """None before v2."""
    secret: Callable[[str], pulumi.Output[str]]
    """Returns the sealed value of a secret key."""
    has: Callable[[str], bool]
    """Tells whether a key has a value."""


def load() -> Settings:
    """Read the stack's settings; raise SettingsError with every problem in them."""
    stack = pulumi.get_stack()
    reader = _reader()
    for key in sorted(set(reader.values) - set(KNOWN)):
        mend = remove_command(key, whole=True)
        reader.add(key, UNKNOWN_KEY, f"one of {', '.join(KNOWN)}", mend)
    reader.refuse_sealed((*PLAIN_KEYS, *LATER_KEYS))
    raw = _read(reader, _stage(reader, stack))
    _check_secrets(reader, raw)
    judged = checks.judge(raw)
    problems = [*reader.problems, *judged.problems]
    if problems or raw.stage is None or raw.operator is None or raw.prod is None:
        raise SettingsError(stack, problems)
    return Settings(
        stage=raw.stage,
        deployment=raw.deployment,
        operator=raw.operator,
        private_key=pulumi.Output.secret(judged.private_key),
        hosts={
            name: ReachableHost(settings=host, host_key=judged.host_keys[name])
            for name, host in raw.hosts.items()
        },
        images=judged.images,
        prod=raw.prod,
        copy=_copy(raw),
        final=_final(raw),
        secret=pulumi.Config(NAMESPACE).require_secret,
        has=reader.values.__contains__,
    )


def _copy(raw: Raw) -> CopySettings | None:
    if raw.core_worker is None or raw.replica is None:
        return None
    if raw.schedules is None or raw.abctl_sha256 is None:
        return None
    return CopySettings(
        core_worker=raw.core_worker,
        replica=raw.replica,
        feeds=tuple(raw.feeds),
        schedules=raw.schedules,
        abctl_sha256=raw.abctl_sha256,
    )


def _final(raw: Raw) -> FinalSettings | None:
    if raw.intermediary is None or raw.prod_abctl is None:
        return None
    if raw.cutover is None or raw.drain is None:
        return None
    return FinalSettings(
        intermediary=raw.intermediary,
        prod_abctl=raw.prod_abctl,
        cutover=raw.cutover,
        drain=raw.drain,
    )


def _reader() -> Reader:
    everything = {**get_config_env(), **CONFIG.get()}
    prefix = f"{NAMESPACE}:"
    own = {key: value for key, value in everything.items() if key.startswith(prefix)}
    sealed = {
        key.removeprefix(prefix)
        for key in own
        if is_config_secret(key) or key in get_config_secret_keys_env()
    }
    return Reader({key.removeprefix(prefix): value for key, value in own.items()}, sealed)


def _stage(reader: Reader, stack: str) -> Stage | None:
    names = [stage.value for stage in Stage]
    value = reader.text("stage")
    found = reader.shown("stage", value)
    if stack not in names:
        needed = f"one of {', '.join(names)}, on the stack of the same name; this one is `{stack}`"
        reader.add("stage", found, needed, f"pulumi stack select --create {names[0]}")
        return Stage(value) if value in names else None
    if value != stack:
        needed = f"`{stack}`, as the stack is called"
        reader.add("stage", found, needed, set_command("stage", stack))
    return Stage(stack)


def _later(stage: Stage | None, since: Stage) -> str:
    """Return why a key is too early for `stage`; nothing when it is not."""
    order = [*Stage]
    early = stage is not None and order.index(stage) < order.index(since)
    return f"nothing: this key belongs to {since}" if early else ""


def _read(reader: Reader, stage: Stage | None) -> Raw:
    for key, since in LATER_KEYS.items():
        if later := _later(stage, since):
            reader.refuse(key, later)
    with_copy = stage is not Stage.V0
    final = stage is Stage.V2
    before = len(reader.problems)
    feeds = reader.several("feeds", Feed) if with_copy else []
    return Raw(
        feeds=feeds,
        feeds_complete=len(reader.problems) == before,
        stage=stage,
        deployment=reader.name("deployment"),
        operator=reader.one("operator", Operator),
        hosts=reader.by_name("hosts", HostSettings),
        host_names=reader.names("hosts"),
        images_file=reader.text("imagesFile"),
        images=reader.mapping("images"),
        prod=reader.one("prod", Prod),
        core_worker=reader.one("coreWorker", CoreWorkerSettings) if with_copy else None,
        replica=reader.one("replica", Replica) if with_copy else None,
        intermediary=reader.one("intermediary", IntermediarySettings) if final else None,
        prod_abctl=reader.one("prodAbctl", ProdAbctl) if final else None,
        cutover=reader.choice("cutover", CutOverWish) if final else None,
        drain=reader.optional("drain", Drain) if final else None,
        schedules=reader.optional("schedules", SchedulesSettings) if with_copy else None,
        abctl_sha256=reader.optional("abctlSha256", AbctlSha256) if with_copy else None,
    )


def _check_secrets(reader: Reader, raw: Raw) -> None:
    """Presence and sealing are checked here, with all the rest; the values stay Outputs."""
    for key in SECRETS:
        present = key in reader.values
        later = _later(raw.stage, LATER_SECRETS.get(key, Stage.V0))
        if present and later:
            reader.add(key, "a value that is sealed", later, remove_command(key))
        elif present and key not in reader.sealed:
            reader.add(key, "a value in clear", "an encrypted value", secret_command(key))
        elif not present and _needed(raw, key):
            reader.add(key, "nothing", "an encrypted value", secret_command(key))


def _needed(raw: Raw, key: str) -> bool:
    if _later(raw.stage, LATER_SECRETS.get(key, Stage.V0)):
        return False
    adopted = raw.prod is not None and not raw.prod.created
    # An Airbyte that runs already keeps its own basic auth; its database is read from v1 on.
    without = PROD_SECRETS if raw.stage is Stage.V0 else ("prodBasicAuthPassword",)
    cancels = raw.drain is not None and raw.drain.policy == "cancel"
    return not (adopted and key in without) or (cancels and key == "prodBasicAuthPassword")
