"""The pulumi command, as far as a promotion needs it."""

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stages.stagectl.errors import BusyError, EngineError, RefusedError, UsageError
from stages.stagectl.report import Reporter, run
from stages.stagectl.state import Json, State

MESSAGE_CHARACTERS = 2000
_LOCK = re.compile(
    r"/locks/\S*?(?P<stack>[^/\s]+)/[^/\s]+: created by \S+@(?P<host>\S+) \(pid (?P<pid>\d+)\)"
)
_NOISE = re.compile(r"^\s*(warning: .*|)$")


@dataclass(frozen=True, kw_only=True)
class Pulumi:
    """Runs pulumi in the project's folder. Never asks for decrypted secrets."""

    project_dir: Path
    reporter: Reporter
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    keep_open: tuple[int, ...] = ()
    """Descriptors that children inherit: the lock stays held while an orphaned pulumi runs."""
    _seen: dict[tuple[str, ...], str] = field(default_factory=dict, init=False, repr=False)
    """Answers to questions; forgotten at every change, and after what takes minutes."""

    def look_again(self) -> None:
        """Forget what was read: others may have been at work since."""
        self._seen.clear()

    def version(self) -> str:
        """Version of the command, without the v."""
        return self._ask("asking for the version", ["version"]).strip().lstrip("v")

    def backend(self) -> str:
        """URL of the backend in use."""
        answer: Json = json.loads(self._ask("asking for the backend", ["whoami", "--json"]))
        return str(answer.get("url") or "")

    def stacks(self) -> frozenset[str]:
        """Names of this project's stacks in the backend."""
        listed: list[Json] = json.loads(self._ask("listing stacks", ["stack", "ls", "--json"]))
        return frozenset(str(s["name"]).rsplit("/", 1)[-1] for s in listed)

    def export(self, stack: str) -> State:
        """Read a stack's state, secrets encrypted."""
        text = self._ask(f"reading the state of {stack}", ["stack", "export", "--stack", stack])
        return State(json.loads(text))

    def write(self, stack: str, state: State) -> None:
        """Replace a stack's state in one step."""
        argv = ["stack", "import", "--stack", stack]
        self._run_locking(f"writing the state of {stack}", argv, json.dumps(state.document))

    def create(self, stack: str) -> None:
        """Make an empty stack; its committed Pulumi.<stack>.yaml decides how it encrypts."""
        self.look_again()
        self._run(f"creating {stack}", ["stack", "init", stack, "--no-select"])

    def remove(self, stack: str) -> None:
        """Remove an empty stack and leave its committed Pulumi.<stack>.yaml alone."""
        argv = ["stack", "rm", stack, "--yes", "--preserve-config"]
        self._run_locking(f"removing {stack}", argv)

    def move(self, source: str, dest: str, urns: list[str]) -> None:
        """Move resources; the engine encrypts their secrets for the destination."""
        argv = ["state", "move", "--yes", "--source", source, "--dest", dest, *urns]
        self._run_locking(f"moving {len(urns)} resources", argv)

    def preview(self, stack: str) -> Json:
        """Preview the stack's program; raises EngineError with its diagnostics if it fails."""
        argv = ["preview", "--stack", stack, "--json", "--refresh=false"]
        done = self._call(f"previewing {stack}", argv)
        self.look_again()
        digest = _json_or_none(done.stdout)
        if done.returncode or digest is None:
            raise _failure(argv, _diagnostics(digest) or done.stderr or done.stdout)
        return digest

    def _ask(self, what: str, argv: list[str]) -> str:
        question = tuple(argv)
        if question not in self._seen:
            self._seen[question] = self._run(what, argv)
        return self._seen[question]

    def _run(self, what: str, argv: list[str], stdin: str | None = None) -> str:
        done = self._call(what, argv, stdin)
        if done.returncode:
            raise _failure(argv, done.stderr + done.stdout)
        return done.stdout

    def _run_locking(self, what: str, argv: list[str], stdin: str | None = None) -> None:
        self.look_again()
        done = self._call(what, argv, stdin)
        locks = list(_LOCK.finditer(done.stderr + done.stdout)) if done.returncode else []
        if not locks:
            if done.returncode:
                raise _failure(argv, done.stderr + done.stdout)
            return
        for lock in locks:
            _refuse_if_held(lock)
        for stack in sorted({lock["stack"] for lock in locks}):
            self.reporter.say(f"  removing the lock that a killed pulumi left on {stack}")
            self._run(f"unlocking {stack}", ["cancel", stack, "--yes"])
        self._run(what, argv, stdin)

    def _call(
        self, what: str, argv: list[str], stdin: str | None = None
    ) -> "subprocess.CompletedProcess[str]":
        command = shutil.which("pulumi", path=self.environment.get("PATH"))
        if command is None:
            raise UsageError(
                found="no `pulumi` on the PATH",
                needed="the pinned engine",
                way_out='Run `eval "$(python -m engine env)"` and try again.',
            )
        environment = {**self.environment, "PULUMI_SKIP_UPDATE_CHECK": "true"}
        full = [command, *argv, "--non-interactive", "--color=never"]
        return run(
            self.reporter,
            what,
            full,
            stdin=stdin,
            cwd=str(self.project_dir),
            env=environment,
            keep_open=self.keep_open,
        )


def _refuse_if_held(lock: "re.Match[str]") -> None:
    here = lock["host"] == socket.gethostname()
    if here and not Path(f"/proc/{lock['pid']}").exists():
        return
    raise BusyError(
        found=f"{lock['stack']} is locked by process {lock['pid']} on {lock['host']}",
        needed="nobody else at work on it",
        way_out=f"Wait for it to end; if it is dead: `pulumi cancel {lock['stack']}`. Then again.",
    )


def _failure(argv: list[str], output: str) -> RefusedError | EngineError:
    if "incorrect passphrase" in output or "PULUMI_CONFIG_PASSPHRASE" in output:
        return RefusedError(
            found="the passphrase given does not open the stack's secrets",
            needed="PULUMI_CONFIG_PASSPHRASE (or _FILE) of both stacks",
            way_out="Set it and run the same command again.",
        )
    lines = [line for line in output.splitlines() if not _NOISE.match(line)]
    error = EngineError(
        found=f"`pulumi {' '.join(argv[:2])}` failed: " + " ".join(lines)[:MESSAGE_CHARACTERS],
        needed="its success",
        way_out="Mend what it names and run the same command again.",
    )
    error.details = "\n".join(line.rstrip() for line in lines)
    return error


def _diagnostics(digest: Json | None) -> str:
    found = (digest or {}).get("diagnostics") or []
    return "\n".join(str(d.get("message", "")) for d in found if d.get("severity") == "error")


def _json_or_none(text: str) -> Json | None:
    try:
        answer = json.loads(text)
    except json.JSONDecodeError:
        return None
    return answer if isinstance(answer, dict) else None
