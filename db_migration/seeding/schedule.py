"""In which order the jobs of a seed are done. Pure.

Longest way first: of the jobs that may start, the one with the most work behind it (its own and
that of all that waits for it) goes first. So big tables come before small ones, and an index starts
as soon as its table is loaded if a foreign key still waits for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from db_migration.seeding.plan import Job, Kind


class Schedule:
    """The jobs that are left; not safe for threads, its user holds a lock."""

    def __init__(self, found: Iterable[Job]) -> None:
        """Take all jobs; each must name only jobs among them in `after`."""
        self._left = list(found)
        self._behind = _work_behind(self._left)
        self._left.sort(key=lambda job: -self._behind[job])
        self._done: set[Job] = set()
        self._users: Counter[str] = Counter()
        self._owned: set[str] = set()
        self.whole = sum(job.cost for job in self._left) or 1.0
        self.running: dict[Job, None] = {}

    def take(self) -> Job | None:
        """Return the next job, None while none may start."""
        found = next((job for job in self._left if self._may_start(job)), None)
        if found is not None:
            self._left.remove(found)
            self.running[found] = None
            self._users.update(found.tables)
            self._owned.update(found.tables if found.exclusive else ())
        return found

    def done(self, job: Job) -> None:
        """Note that a job has ended; what waited for it may start."""
        del self.running[job]
        self._done.add(job)
        self._users.subtract(job.tables)
        self._owned.difference_update(job.tables if job.exclusive else ())

    @property
    def finished(self) -> bool:
        """Whether no job is left, and none runs."""
        return not self._left and not self.running

    @property
    def uncopied(self) -> set[str]:
        """The tables of which rows are missing."""
        jobs = [*self._left, *self.running]
        return {job.tables[0] for job in jobs if job.kind is Kind.COPY}

    @property
    def spent(self) -> float:
        """The cost of what is done."""
        return sum(job.cost for job in self._done)

    def _may_start(self, job: Job) -> bool:
        if not job.after <= self._done or self._owned.intersection(job.tables):
            return False
        return not (job.exclusive and any(self._users[table] for table in job.tables))


def _work_behind(found: list[Job]) -> dict[Job, float]:
    """Return for each job its cost and that of the longest way through what waits for it."""
    waiting: dict[Job, list[Job]] = {}
    for job in found:
        for earlier in job.after:
            waiting.setdefault(earlier, []).append(job)
    behind: dict[Job, float] = {}

    def of(job: Job) -> float:
        if job not in behind:
            behind[job] = job.cost + max((of(later) for later in waiting.get(job, [])), default=0)
        return behind[job]

    for job in found:
        of(job)
    return behind
