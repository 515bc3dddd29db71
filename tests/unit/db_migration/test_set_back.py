"""Who was set back, by what source and target have noted of how far both logs were."""

from __future__ import annotations

from dataclasses import replace

import pytest

from db_migration.agent import copies
from db_migration.agent.state import Database, Log, Logs, Mark, Source, Target

COPIED_AT = "1/10"
SOURCE, TARGET = Log("prod", 1, (1 << 32) + 1000), Log("core", 1, 5000)
MUCH = copies.NOTED_EVERY_BYTES


def after(steps: int, source: Log = SOURCE, target: Log = TARGET) -> Logs:
    """Return the note that is made so many notes after the first one."""
    return Logs(
        replace(source, lsn=source.lsn + steps * MUCH),
        replace(target, lsn=target.lsn + steps * MUCH),
    )


FIRST, SECOND, THIRD = after(0), after(1), after(2)
OF_AN_EARLIER_COPY = replace(FIRST, source=replace(SOURCE, lsn=15))
OF_ANOTHER_SOURCE = replace(FIRST, source=replace(SOURCE, server="intermediary"))

Marked = tuple[Logs | None, ...]


def seen(marked: Marked, noted: Logs | None, now: Logs) -> tuple[Mark, Source, Target]:
    mark = Mark(COPIED_AT, {}, "", noted=marked)
    source = Source("logical", "logical", log=now.source, noted=noted)
    return mark, source, Target(mirror=Database(exists=True, mark=mark), log=now.target)


@pytest.mark.parametrize(
    ("marked", "noted", "who"),
    [
        ((), None, None),
        ((FIRST,), FIRST, None),
        ((None, FIRST), None, None),
        ((None, FIRST), FIRST, None),
        ((FIRST, SECOND), FIRST, None),
        ((FIRST, SECOND), SECOND, None),
        ((), OF_AN_EARLIER_COPY, None),
        ((), OF_ANOTHER_SOURCE, None),
        ((OF_ANOTHER_SOURCE,), None, None),
        ((SECOND,), FIRST, "the source"),
        ((SECOND,), None, "the source"),
        ((SECOND, THIRD), FIRST, "the source"),
        ((FIRST,), SECOND, "the target"),
        ((FIRST, SECOND), THIRD, "the target"),
        ((), FIRST, "the target"),
        ((OF_ANOTHER_SOURCE,), FIRST, "the target"),
    ],
)
def test_who_was_set_back_has_an_older_note(
    marked: Marked, noted: Logs | None, who: str | None
) -> None:
    """However far the logs are by now."""
    said = copies.set_back(*seen(marked, noted, after(9)))
    assert (said is not None) is (who is not None)
    assert (who or "") in (said or "")


@pytest.mark.parametrize(
    ("source", "target", "who"),
    [
        (SOURCE, TARGET, None),
        (replace(SOURCE, timeline=2), TARGET, "the source"),
        (SOURCE, replace(TARGET, timeline=2), "the target"),
        (SOURCE, replace(TARGET, timeline=2, server="upgraded"), None),
    ],
)
def test_a_promoted_server_may_lack_the_last_of_the_log(
    source: Log, target: Log, who: str | None
) -> None:
    said = copies.set_back(*seen((FIRST,), FIRST, after(0, source, target)))
    assert (said is not None) is (who is not None)
    assert (who or "") in (said or "")


@pytest.mark.parametrize(
    ("marked", "noted", "now", "note"),
    [
        ((), None, FIRST, (None, FIRST)),
        ((), OF_AN_EARLIER_COPY, FIRST, (None, FIRST)),
        ((None, FIRST), None, SECOND, (None, SECOND)),
        ((None, FIRST), FIRST, SECOND, (FIRST, SECOND)),
        ((FIRST,), FIRST, FIRST, None),
        ((FIRST,), FIRST, SECOND, (FIRST, SECOND)),
        ((FIRST,), FIRST, replace(FIRST, target=SECOND.target), ...),
        ((FIRST,), FIRST, replace(FIRST, source=SECOND.source), ...),
        ((FIRST,), FIRST, replace(FIRST, target=replace(TARGET, server="upgraded")), ...),
        ((FIRST, SECOND), FIRST, SECOND, None),
        ((FIRST, SECOND), FIRST, THIRD, (FIRST, THIRD)),
        ((OF_ANOTHER_SOURCE,), None, FIRST, (None, FIRST)),
    ],
)
def test_both_logs_are_noted_when_either_has_grown(
    marked: Marked, noted: Logs | None, now: Logs, note: object
) -> None:
    assert copies.next_note(*seen(marked, noted, now)) == ((noted, now) if note is ... else note)
