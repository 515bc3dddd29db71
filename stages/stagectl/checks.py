"""The checks before a promotion. Reads only; the first that fails is the error."""

import re
from collections.abc import Iterable
from importlib import metadata
from itertools import pairwise

from stages.stagectl.errors import HostUnreachableError, RefusedError
from stages.stagectl.markers import HOSTCTL, Reading
from stages.stagectl.plan import STAGES
from stages.stagectl.state import State


def check_engine(command: str, written_by: Iterable[str]) -> None:
    """Refuse an engine older than the SDK of the program, or than what wrote a state."""
    sdk = metadata.version("pulumi")
    newest = max([sdk, *(v for v in written_by if v)], key=_version)
    if _version(command) < _version(newest):
        raise RefusedError(
            found=f"pulumi {command}",
            needed=f"{newest} or newer, which the program or a state was made with",
            way_out='Use the pinned one: `eval "$(python -m engine env)"`.',
        )


def check_source(source: str, dest: str, state: State, holder: str | None = None) -> None:
    """Refuse a source that holds nothing; `holder` is the stage that holds the deployment."""
    if state.keys:
        return
    following = next((b for a, b in pairwise(STAGES) if a == holder), None)
    raise RefusedError(
        found=f"{source} holds no resource"
        + (f"; {holder} holds the deployment" if holder else ""),
        needed=f"the deployment in {source}",
        way_out=f"First: stagectl promote {holder} {following}, then pulumi up --stack {following}."
        if following
        else f"`stagectl status` tells who holds it. In an empty world {dest} needs no "
        f"promotion: `pulumi up --stack {dest}`.",
    )


def check_dest(dest: str, state: State) -> None:
    """Refuse a destination that holds more than providers left behind."""
    if state.keys:
        first = ", ".join(sorted(r["urn"].rsplit("::", 1)[-1] for r in state.held)[:5])
        raise RefusedError(
            found=f"{dest} holds {len(state.keys)} resources ({first})",
            needed=f"{dest} empty",
            way_out=f"If they are another deployment's, destroy them: `pulumi destroy --stack "
            f"{dest} --exclude-protected`. If a promotion was killed on another machine, "
            "finish it there.",
        )


def check_pending(stack: str, state: State) -> None:
    """Refuse a stack whose last `pulumi up` was interrupted."""
    if state.pending:
        names = ", ".join(
            f"{p['type']} {p['resource']['urn'].rsplit('::', 1)[-1]}" for p in state.pending
        )
        raise RefusedError(
            found=f"in {stack} a `pulumi up` is at work, or was interrupted and left open: {names}",
            needed="no pending operation",
            way_out=f"Wait, or settle them: `pulumi refresh --stack {stack}` asks about each.",
        )


def check_secrets_provider(source: State, dest: State) -> None:
    """Refuse two kinds of secrets providers: one environment can seldom open both."""
    kinds = {k for k in (source.secrets_provider, dest.secrets_provider) if k}
    if len(kinds) > 1:
        raise RefusedError(
            found=f"the stacks encrypt in different ways: {', '.join(sorted(kinds))}",
            needed="the same secrets provider for both",
            way_out="`pulumi stack change-secrets-provider` brings them together.",
        )


def check_markers(readings: list[Reading], source: str, dest: str, deployment: str) -> None:
    """Refuse when a host does not answer, or belongs to another deployment or stage.

    The hosts that `dest` adds are asked as well: its preview, and `pulumi up`, need them too.
    """
    for reading in readings:
        if reading.error:
            raise HostUnreachableError(
                found=f"{reading.host} does not tell its marker: {reading.error}",
                needed=f"every host of {source} and {dest} to answer on SSH",
                way_out="Start it or mend hosts, identityFile, knownHostsFile; then again.",
            )
        if deployment and reading.deployment not in (None, deployment):
            raise RefusedError(
                found=f"{reading.host} is held by deployment {reading.deployment} "
                f"(stage {reading.stage})",
                needed=f"hosts that deployment {deployment} holds, or nobody",
                way_out="Name another host; or, if that deployment is gone, on this one: "
                f"`{HOSTCTL} marker release {reading.deployment} {reading.stage}`.",
            )
        if reading.stage in set(STAGES) - {source, dest}:
            raise RefusedError(
                found=f"the marker on {reading.host} says {reading.stage}",
                needed=f"{source}",
                way_out="`stagectl status` shows who holds the deployment.",
            )


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", text.partition("-")[0])[:3])
