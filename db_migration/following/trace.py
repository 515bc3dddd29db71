"""What a feed has left on a server, as `release --dry-run` lists it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One right, option or member of a trace that is made of many."""

    right: str
    on: str


@dataclass(frozen=True)
class Trace:
    """One thing that is there because of the feed, and what is done about it."""

    what: str
    undo: str
    parts: tuple[Part, ...] = ()
    """All that it consists of, each by its name; none where `what` says all."""
