"""What can go wrong, always as: state found, state needed, way out.

MigrationError
 +-- ConfigError         the configuration file (every mistake at once)
 +-- UnreachableError         a server, or the path to it, does not answer
 |    +-- NoRoomError         a server's disk is full
 +-- BlockedError             a state the script must not, or can not, leave by itself
 +-- DifferenceFoundError     the two sides are not equal
 +-- DeadlinePassedError      a state was waited for in vain
 +-- Stopping            not an error: the process was asked to end
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the command line."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    CHECK_FAILED = 3
    DEADLINE = 4
    WARNINGS = 5


class MigrationError(Exception):
    """Root of all errors a person should read; never carries a secret."""

    exit_code = ExitCode.UNEXPECTED

    def __init__(self, *, found: str, needed: str, way_out: str) -> None:
        """Say what is, what should be, and how to get there."""
        super().__init__(f"found: {found}\nneeded: {needed}\n\nhint: {way_out}")
        self.found = found
        self.needed = needed
        self.way_out = way_out

    def as_dict(self) -> dict[str, str]:
        """Return the three parts as `status --json` shows them."""
        return {"found": self.found, "needed": self.needed, "way_out": self.way_out}


class ConfigError(MigrationError):
    """The configuration can not be used."""

    exit_code = ExitCode.USAGE

    def __init__(self, path: str, problems: list[str]) -> None:
        """List every problem of the file."""
        listed = "".join(f"\n  - {problem}" for problem in problems)
        super().__init__(
            found=f"{len(problems)} problem(s) in `{path}`:{listed}",
            needed="a configuration as in `docs/reference/feed-alone.md`",
            way_out="correct the keys named above and start again",
        )
        self.problems = problems


class UnreachableError(MigrationError):
    """A server does not answer; tried again until it does."""


class NoRoomError(UnreachableError):
    """A server has no room left on its disk; tried again until it has."""

    def __init__(self, label: str, said: str) -> None:
        """Say whose disk it is, and what the server said."""
        super().__init__(
            found=f"{label} has no room left on its disk: {said}",
            needed="free space there: for a new copy as much as the mirror takes, and its WAL",
            way_out="free space or make the disk bigger; the feed then goes on by itself",
        )


class BlockedError(MigrationError):
    """Only a person can decide how to go on."""

    exit_code = ExitCode.CHECK_FAILED


class DifferenceFoundError(MigrationError):
    """Source and copy are not equal."""

    exit_code = ExitCode.CHECK_FAILED


class DeadlinePassedError(MigrationError):
    """The state waited for was not reached in time."""

    exit_code = ExitCode.DEADLINE


class Stopping(Exception):  # noqa: N818 - a request, not an error
    """SIGTERM arrived; unwinds a long step between two effects."""
