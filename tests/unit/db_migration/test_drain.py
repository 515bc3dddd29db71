"""What happens to jobs that run when the cut-over begins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from db_migration.airbytes import drain
from db_migration.airbytes.drain import CANCEL_SECONDS, Do, Means, decide
from db_migration.airbytes.jobs import OpenJob
from db_migration.config import DrainPolicy
from db_migration.errors import BlockedError, UnreachableError

WAIT, CANCEL, ABORT = DrainPolicy.WAIT, DrainPolicy.CANCEL, DrainPolicy.ABORT
LIMIT = 300.0
BUSY = OpenJob("c1", "Shop to lake", 71, "running", 2, 4000.0)


@pytest.mark.parametrize(
    ("jobs", "waited", "policy", "expected"),
    [
        (0, 0, ABORT, Do.GO_ON),
        (0, LIMIT * 9, ABORT, Do.GO_ON),
        (1, 0, WAIT, Do.WAIT),
        (1, 0, CANCEL, Do.WAIT),
        (1, 0, ABORT, Do.WAIT),
        (1, LIMIT, WAIT, Do.WAIT),
        (1, LIMIT * 9, WAIT, Do.WAIT),
        (1, LIMIT, CANCEL, Do.CANCEL),
        (1, LIMIT + CANCEL_SECONDS, CANCEL, Do.GO_ON),
        (1, LIMIT, ABORT, Do.GIVE_UP),
    ],
)
def test_what_is_done(jobs: int, waited: float, policy: DrainPolicy, expected: Do) -> None:
    assert decide(jobs, waited, LIMIT, policy) is expected


def means(looks: Iterator[list[OpenJob]], said: list[str], cancelled: list[int]) -> Means:
    return Means(lambda: next(looks), lambda job: cancelled.append(job.job), said.append)


def test_jobs_end_by_themselves() -> None:
    said: list[str] = []
    looks = iter([[BUSY], [BUSY], []])
    assert drain.drain(means(looks, said, []), LIMIT, ABORT) == []
    assert said == [
        "waiting for Shop to lake (c1): job 71 running, attempt 2, for 4000 s",
    ]


def test_giving_up_names_the_connection() -> None:
    with pytest.raises(BlockedError, match=r"Shop to lake \(c1\): job 71 running, attempt 2"):
        drain.drain(means(iter([[BUSY]]), [], []), 0, ABORT)


def test_cancelled_jobs_are_waited_for() -> None:
    cancelled: list[int] = []
    assert drain.drain(means(iter([[BUSY], []]), [], cancelled), 0, CANCEL) == []
    assert cancelled == [71]


def test_what_can_not_be_cancelled_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(job: OpenJob) -> None:
        raise UnreachableError(found=f"no answer for {job.job}", needed="it", way_out="mend it")

    said: list[str] = []
    monkeypatch.setattr(drain, "CANCEL_SECONDS", 0.1)
    left = drain.drain(Means(lambda: [BUSY], refuse, said.append), 0, CANCEL)
    assert left == [BUSY]
    assert "job 71 is not cancelled: no answer for 71" in said
