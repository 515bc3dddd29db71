"""What v2 asks of the hosts and of its two Airbytes on abctl."""

from collections.abc import Iterable

from stages.problems import Problem, set_command
from stages.raw import Raw


def judge(raw: Raw) -> Iterable[Problem]:
    """Check what only v2 has; without its keys there is nothing to say."""
    yield from _intermediary(raw)
    yield from _abctl(raw)


def _intermediary(raw: Raw) -> Iterable[Problem]:
    """Find what would die together with prod's database."""
    if raw.intermediary is None:
        return
    where = raw.intermediary.host
    neighbours = (
        (raw.prod_abctl, "the host of prod's abctl", "prod and its database would be on one host"),
        (raw.prod, "prod's own host", "what prod moves to must outlive it"),
        (raw.core_worker, "the host of core-worker-01", "database and copy would be on one host"),
        (raw.replica, "the replica's host", "what stands in for prod must outlive its database"),
    )
    for other, what, why in neighbours:
        if other is not None and other.host == where:
            taken = {neighbour.host for neighbour, *_ in neighbours if neighbour is not None}
            free = next((host for host in raw.host_names if host not in taken), "intermediary")
            yield Problem(
                key="intermediary.host",
                found=f"{where}, {what}",
                needed=f"another host: {why}",
                mend=set_command("intermediary.host", free),
            )
            return


def _abctl(raw: Raw) -> Iterable[Problem]:
    prod, replica = raw.prod_abctl, raw.replica
    if prod is None or replica is None:
        return
    if prod.host == replica.host:
        yield Problem(
            key="prodAbctl.host",
            found=f"{prod.host}, the replica's host",
            needed="another host: a host has one abctl, and the replica must outlive prod",
            mend=set_command("prodAbctl.host", raw.prod.host if raw.prod else "prod"),
        )
    if prod.chart_version != replica.chart_version:
        yield Problem(
            key="prodAbctl.chartVersion",
            found=f"{prod.chart_version}, and {replica.chart_version} of the replica",
            needed="the same: after a failover they share a database",
            mend=set_command("prodAbctl.chartVersion", replica.chart_version),
        )
