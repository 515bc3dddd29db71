"""The checks before a promotion. Reads only; the first that fails is the error."""

import re
from collections.abc import Iterable
from importlib import metadata

from stages.stagectl.errors import HostUnreachableError, RefusedError
from stages.stagectl.markers import Reading
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


def check_source(source: str, dest: str, exists: bool, state: State) -> None:
    """Refuse a source that holds nothing."""
    if not exists or not state.keys:
        raise RefusedError(
            found=f"{source} holds no resource",
            needed=f"the deployment in {source}",
            way_out=f"`stagectl status` tells who holds it. In an empty world {dest} needs no "
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


def check_markers(readings: list[Reading], source: str, dest: str, required: Iterable[str]) -> None:
    """Refuse when a host of the source does not answer, or belongs to another stage."""
    needed = set(required)
    for reading in readings:
        if reading.error and reading.host in needed:
            raise HostUnreachableError(
                found=f"{reading.host} does not tell its marker: {reading.error}",
                needed=f"every host of {source} to answer on SSH",
                way_out="Start it or mend hosts, identityFile, knownHostsFile; then again.",
            )
        if reading.stage in set(STAGES) - {source, dest}:
            raise RefusedError(
                found=f"the marker on {reading.host} says {reading.stage}",
                needed=f"{source}",
                way_out="`stagectl status` shows who holds the deployment.",
            )


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", text.partition("-")[0])[:3])
