"""What can go wrong in a promotion, always as: state found, state needed, way out."""

from enum import IntEnum

from stages.stagectl.preview import Preview


class ExitCode(IntEnum):
    """Exit codes of stagectl; scripts may rely on them."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    REFUSED = 3
    UNDONE = 4
    BUSY = 5
    HOST_UNREACHABLE = 6
    ENGINE_FAILED = 7
    WOULD_REPLACE_OR_DELETE = 8
    INTERRUPTED = 130


class StagectlError(Exception):
    """Root of stagectl's errors: carries its facts apart, so that --json can give them."""

    exit_code = ExitCode.UNEXPECTED
    preview: Preview | None = None
    details: str = ""
    """What the program or the engine said, line by line, where `found` has it in one."""

    def __init__(self, *, found: str, needed: str, way_out: str) -> None:
        """Say what is, what should be, and how to get there."""
        super().__init__(f"{found}. Needed: {needed}. {way_out}")
        self.found = found
        self.needed = needed
        self.way_out = way_out


class UsageError(StagectlError):
    """The command line or the folder is wrong, e.g. an unknown stage or no Pulumi.yaml here."""

    exit_code = ExitCode.USAGE


class RefusedError(StagectlError):
    """A check failed and nothing was changed, e.g. the destination holds resources."""

    exit_code = ExitCode.REFUSED


class UndoneError(StagectlError):
    """The promotion was begun, failed its preview, and was put back."""

    exit_code = ExitCode.UNDONE


class BusyError(StagectlError):
    """Another process works on these stacks, e.g. a `pulumi up` holds the lock."""

    exit_code = ExitCode.BUSY


class HostUnreachableError(StagectlError):
    """A marker could not be read or moved, e.g. a host does not answer on SSH."""

    exit_code = ExitCode.HOST_UNREACHABLE


class EngineError(StagectlError):
    """The pulumi command failed for a reason stagectl has no better words for."""

    exit_code = ExitCode.ENGINE_FAILED
