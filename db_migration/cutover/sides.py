"""What a cut-over moves between: the old Airbyte, the new one, and the feeds around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from db_migration.airbytes.api import cancel_job
from db_migration.config import Config, FeedConfig, InstanceConfig, ServerConfig
from db_migration.context import Context
from db_migration.errors import BlockedError
from db_migration.journal import Journal
from db_migration.sides import servers
from db_migration.sides.hosts import HostControl

JOURNAL = "cut-over"
CUTOVER = "`cutover`"
NAMED = "`instances` and `servers` as `initial` and `cutover` name them"


class Proof(Protocol):
    """What touching the connections has shown (db_migration/airbytes/connections.py)."""

    @property
    def active(self) -> int:
        """How many connections are active."""

    @property
    def scheduled(self) -> int:
        """How many of them have a schedule again."""

    @property
    def unscheduled(self) -> dict[str, str]:
        """Those that have none, with the reason."""

    def as_dict(self) -> dict[str, Any]:
        """All of it, for the report."""


@dataclass(frozen=True)
class Means:
    """How the cut-over reaches what is no database."""

    host: Callable[[InstanceConfig], HostControl]
    prove: Callable[[Config, InstanceConfig], Proof]
    say: Callable[[str], None]
    cancel: Callable[[InstanceConfig, int], None] = cancel_job


@dataclass(frozen=True)
class Sides:
    """Everything that the steps act on."""

    config: Config
    means: Means
    old: InstanceConfig
    new: InstanceConfig
    target: ServerConfig
    """Becomes prod's database server."""
    keeper: ServerConfig
    """Keeps a mirror, before and after; the cut-over runs beside it."""
    to_target: Context
    to_keeper: Context
    after: Context
    """The feed target -> keeper, which is live afterwards."""

    @property
    def journal(self) -> Journal:
        """The cut-over's own journal."""
        return Journal(servers.control(self.keeper), JOURNAL)

    @property
    def feeds(self) -> tuple[Context, ...]:
        """All the feeds that must keep still meanwhile."""
        return (self.to_target, *self.without_target)

    @property
    def without_target(self) -> tuple[Context, ...]:
        """Those of them that do not need the new server."""
        return (self.to_keeper, self.after)

    @property
    def to_promoted(self) -> Context:
        """Old and new side as they are after the promotion, to be compared."""
        feed = _update(self.to_target.feed, target={"database": self.target.database})
        return Context(self.config.model_copy(update={"catch_up_seconds": 1.0}), feed)

    def host(self, instance: InstanceConfig) -> HostControl:
        """Return how an Airbyte's host is commanded."""
        return self.means.host(instance)


def sides(config: Config, means: Means) -> Sides:
    """Put together what the configuration says; raises BlockedError when something is missing."""
    if config.cutover is None or config.initial is None:
        raise _missing(CUTOVER)
    old, new = config.instance(config.initial.airbyte), config.instance(config.cutover.airbyte)
    target, keeper = config.server(config.cutover.database), servers.here(config)
    if old is None or new is None or target is None:
        raise _missing(NAMED)
    feed = _feed(config, config.initial.database, keeper)
    own = Context(config, feed)
    there = Context(
        config.model_copy(update={"control": servers.as_control(target)}),
        FeedConfig(
            name=f"{feed.source.name}-to-{target.name}",
            source=feed.source,
            target=servers.as_target(target),
        ),
    )
    after = Context(config, _feed(config, target.name, keeper))
    return Sides(config, means, old, new, target, keeper, there, own, after)


def _feed(config: Config, source: str, keeper: ServerConfig) -> FeedConfig:
    for feed in config.feeds:
        if feed.source.name == source and feed.target.name == keeper.name:
            return feed
    what = f"feed {source} -> {keeper.name}"
    raise _missing(what)


def _missing(what: str) -> BlockedError:
    return BlockedError(
        found=f"the configuration on this host has no {what}",
        needed="the configuration of v2 on core-worker-01",
        way_out="run this in core-worker-01's `db-migration` container, after `pulumi up` of v2",
    )


def _update(feed: FeedConfig, *, target: dict[str, Any]) -> FeedConfig:
    return feed.model_copy(update={"target": feed.target.model_copy(update=target)})
