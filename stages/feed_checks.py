"""Which feeds a stage can have, and which it must have."""

from collections.abc import Iterable

from stages.models import CutOverWish, Feed, Stage
from stages.problems import Problem, remove_command, set_command
from stages.raw import Raw

PROD, CORE_WORKER, INTERMEDIARY = "prod", "core-worker-01", "intermediary"
TARGETS = {Stage.V1: (CORE_WORKER,), Stage.V2: (CORE_WORKER, INTERMEDIARY)}
SOURCES = {Stage.V1: (PROD,), Stage.V2: (PROD, CORE_WORKER, INTERMEDIARY)}

BEFORE = "prod moves to a verified copy, and leaves the standby's copy in step"
AFTER = "after the cut-over and after a failover it keeps the copy on the other server"


def judge(raw: Raw) -> Iterable[Problem]:
    """Check the feeds of a stage that has some."""
    if raw.stage in TARGETS:
        yield from _names(raw)
        yield from _twice(raw)
        if raw.stage is Stage.V2 and raw.feeds_complete:
            yield from _missing(raw)


def _names(raw: Raw) -> Iterable[Problem]:
    stage = raw.stage or Stage.V1
    for number, feed in enumerate(raw.feeds):
        for side, name, known in (
            ("source", feed.source, SOURCES[stage]),
            ("target", feed.target, TARGETS[stage]),
        ):
            if name not in known:
                key = f"feeds[{number}].{side}"
                yield Problem(
                    key=key,
                    found=name,
                    needed=f"a database of this stage: {', '.join(known)}",
                    mend=set_command(key, known[0]),
                )
        if feed.source == feed.target and feed.target in TARGETS[stage]:
            key = f"feeds[{number}]"
            yield Problem(
                key=key,
                found=f"`{feed.name}`, from {feed.source} to itself",
                needed="two databases",
                mend=remove_command(key),
            )


def _twice(raw: Raw) -> Iterable[Problem]:
    pairs: set[tuple[str, str]] = set()
    names: set[str] = set()
    for number, feed in enumerate(raw.feeds):
        pair, key = (feed.source, feed.target), f"feeds[{number}]"
        if pair in pairs:
            yield Problem(
                key=key,
                found=f"a second feed from {feed.source} to {feed.target}, `{feed.name}`",
                needed="one: both would be live at once, and a mirror has one writer",
                mend=remove_command(key),
            )
        elif feed.name in names:
            yield Problem(
                key=f"{key}.name",
                found=f"{feed.name}, which is another feed's name too",
                needed="a name of its own",
                mend=set_command(f"{key}.name", f"{feed.source}-to-{feed.target}"),
            )
        elif _sound(raw, feed) and feed.name != f"{feed.source}-to-{feed.target}":
            yield Problem(
                key=f"{key}.name",
                found=feed.name,
                needed=f"{feed.source}-to-{feed.target}: the script reads the sides from the name",
                mend=set_command(f"{key}.name", f"{feed.source}-to-{feed.target}"),
            )
        pairs.add(pair)
        names.add(feed.name)


def _sound(raw: Raw, feed: Feed) -> bool:
    stage = raw.stage or Stage.V1
    known = feed.source in SOURCES[stage] and feed.target in TARGETS[stage]
    return known and feed.source != feed.target


def _missing(raw: Raw) -> Iterable[Problem]:
    there = {(feed.source, feed.target) for feed in raw.feeds}
    wanted = {(INTERMEDIARY, CORE_WORKER): AFTER, (CORE_WORKER, INTERMEDIARY): AFTER}
    if raw.cutover is CutOverWish.GO:
        wanted = {(PROD, INTERMEDIARY): BEFORE, (PROD, CORE_WORKER): BEFORE, **wanted}
    for source, target in (pair for pair in wanted if pair not in there):
        yield Problem(
            key="feeds",
            found=f"no feed from {source} to {target}",
            needed=f"one: {wanted[source, target]}",
            mend=set_command(
                f"feeds[{len(raw.feeds)}]",
                {"name": f"{source}-to-{target}", "source": source, "target": target},
            ),
        )
