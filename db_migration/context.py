"""What every verb gets: one feed, its endpoints, its journal, and whether to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from db_migration.config import Config, FeedConfig, InstanceConfig
from db_migration.errors import Stopping
from db_migration.postgres import Endpoint
from db_migration.sides.hosts import HostControl, SshHostControl


def over_ssh(instance: InstanceConfig) -> HostControl | None:
    """Return how an Airbyte's host is commanded."""
    return SshHostControl(instance.host_control) if instance.host_control else None


def ignore(key: str, what: object) -> None:
    """Tell nobody."""
    del key, what


@dataclass(frozen=True)
class Context:
    """One feed of the configuration, ready to act on."""

    config: Config
    feed: FeedConfig
    source_host: HostControl | None = None
    reader_host: HostControl | None = None
    instance_host: Callable[[InstanceConfig], HostControl | None] = over_ssh
    stop: threading.Event = field(default_factory=threading.Event)
    tell: Callable[[str, object], None] = ignore
    """Show people under a key of the feed's state how a long step goes (any thread may)."""

    @property
    def owner(self) -> Endpoint:
        """The source, as the owner of its tables."""
        source = self.feed.source
        label = f"source `{source.name}`"
        return Endpoint(
            label, source.host, source.port, source.database, source.sslmode, source.owner
        )

    @property
    def reader(self) -> Endpoint:
        """The source, as the feed's own role."""
        source = self.feed.source
        label = f"source `{source.name}`"
        return Endpoint(
            label, source.host, source.port, source.database, source.sslmode, source.reader
        )

    @property
    def mirror(self) -> Endpoint:
        """The mirror database on the target."""
        target = self.feed.target
        label = f"target `{target.name}`"
        return Endpoint(label, target.host, target.port, target.database, target.sslmode, target)

    @property
    def control(self) -> Endpoint:
        """The control database: journal, and the place from which others are renamed."""
        return self.control_of(self.config)

    @staticmethod
    def control_of(config: Config) -> Endpoint:
        """The control database of this process's own server."""
        control = config.control
        where = (control.host, control.port, control.database, control.sslmode)
        return Endpoint("control database", *where, control)

    @property
    def server(self) -> Endpoint:
        """The target's server, in no database of a feed."""
        return self.mirror.at(self.config.control.database)

    @property
    def seed_name(self) -> str:
        """Where a new copy is made."""
        return f"{self.feed.target.database}_seed"

    @property
    def old_mirror_name(self) -> str:
        """What the replaced mirror is called until it is dropped."""
        return f"{self.feed.target.database}_old"

    @property
    def seed(self) -> Endpoint:
        """The database of the new copy."""
        return self.mirror.at(self.seed_name)

    def breathe(self) -> None:
        """Give SIGTERM its chance between two effects."""
        if self.stop.is_set():
            raise Stopping


def context_of(config: Config, feed: FeedConfig, stop: threading.Event | None = None) -> Context:
    """Put a feed together with the hosts it may command."""
    reader = feed.working_database.reader_host_control if feed.working_database else None
    source = feed.source.host_control
    return Context(
        config,
        feed,
        source_host=SshHostControl(source) if source else None,
        reader_host=SshHostControl(reader) if reader else None,
        stop=stop or threading.Event(),
    )
