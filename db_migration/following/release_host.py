"""What is on the source's host because of the feed. Pulumi declared it, and only Pulumi removes it:
a script that did would be undone by the next `pulumi up`.
"""

from __future__ import annotations

from collections.abc import Iterator

from db_migration.context import Context
from db_migration.errors import MigrationError
from db_migration.following.trace import Trace
from db_migration.sides import hosts

OURS = "airbyte-migration-"
"""How the names of our containers begin."""
STATE = "/var/lib/airbyte-migration"
HOSTCTL = "/usr/local/lib/airbyte-migration"


def host_traces(context: Context) -> list[Trace]:
    """List it as the host says it is, each with the command that removes it; changes nothing."""
    if context.source_host is None:
        return []
    try:
        return list(of_host(hosts.status(context.source_host)))
    except MigrationError as error:
        what = f"not known: {error.found}"
        return [Trace(what, "make the host answer, and run this again")]


def of_host(status: hosts.Status) -> Iterator[Trace]:
    """Turn a host's own words into what is to be removed from it."""
    stack = status.marker.stage if status.marker is not None else "STACK"
    destroy = f"`pulumi destroy --stack {stack} --exclude-protected`"
    host = status.host
    for container in status.containers:
        if container.name.startswith(OURS):
            by_hand = f"by hand on {host}: docker rm -f {container.name}"
            yield Trace(f"container `{container.name}` on host {host}", f"{destroy}; {by_hand}")
    for key in status.keys:
        by_hand = f"by hand on {host}: hostctl unauthorize {key}"
        yield Trace(f"key `{key}` in authorized_keys of host {host}", f"{destroy}; {by_hand}")
    if status.marker is not None:
        by_hand = f"by hand on {host}: rm -r {STATE} {HOSTCTL}"
        what = f"`hostctl`, its marker and its list of services in {STATE} of host {host}"
        yield Trace(what, f"{destroy}; {by_hand}")
