"""One promotion's folder: both backups and the journal, all durable before anything depends on it.

The journal is JSON lines, each written and fsynced before the next thing happens. A line cut
off by a crash is ignored: it never promised anything.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from stages.stagectl.state import Json, State

JOURNAL = "journal.jsonl"
PRIVATE_DIR = 0o700
PRIVATE_FILE = 0o600


@dataclass(frozen=True)
class Promotion:
    """The folder of one promotion, open or finished."""

    folder: Path

    @classmethod
    def begin(cls, root: Path, *, source: str, dest: str, backend: str) -> "Promotion":
        """Make a new folder under `root`, named by the time, and write the first line."""
        root.mkdir(mode=PRIVATE_DIR, parents=True, exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        folder = root / stamp
        folder.mkdir(mode=PRIVATE_DIR)
        promotion = cls(folder)
        promotion.write("begin", source=source, dest=dest, backend=backend)
        _sync_dir(root)
        return promotion

    @property
    def entries(self) -> list[Json]:
        """All whole lines of the journal."""
        path = self.folder / JOURNAL
        if not path.exists():
            return []
        return list(_whole_lines(path.read_text(encoding="utf-8")))

    @property
    def source(self) -> str:
        """Stack that the deployment came from."""
        return str(self._first["source"])

    @property
    def dest(self) -> str:
        """Stack that it goes to."""
        return str(self._first["dest"])

    @property
    def backend(self) -> str:
        """Backend that both stacks are in."""
        return str(self._first["backend"])

    @property
    def began_at(self) -> str:
        """When it was begun, for people."""
        return str(self._first["at"])

    @property
    def state(self) -> str:
        """One of open, finished, undoing, undone."""
        events = [e["event"] for e in self.entries]
        if "undone" in events:
            return "undone"
        if "undo" in events:
            return "undoing"
        return "finished" if "finished" in events else "open"

    @property
    def last_step(self) -> str | None:
        """The step that was begun last."""
        steps = [e["step"] for e in self.entries if e["event"] == "step"]
        return str(steps[-1]) if steps else None

    def happened(self, event: str) -> bool:
        """Whether the journal has such a line."""
        return any(e["event"] == event for e in self.entries)

    def last(self, event: str) -> Json | None:
        """Give the newest line of this kind."""
        return next((e for e in reversed(self.entries) if e["event"] == event), None)

    def write(self, event: str, **facts: object) -> None:
        """Append one line; it is on the disk when this returns."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"at": now, "event": event, **facts}, ensure_ascii=False)
        path = self.folder / JOURNAL
        whole = not path.exists() or path.read_bytes()[-1:] in (b"\n", b"")
        _append(path, line + "\n" if whole else "\n" + line + "\n")

    def save_backup(self, source: State, dest: State, *, dest_created: bool) -> None:
        """Write both states, readable by the owner only, then the line that makes them count."""
        number = sum(e["event"] == "backup" for e in self.entries)
        names = {}
        for stack, state in ((self.source, source), (self.dest, dest)):
            name = f"{stack}.{number}.json" if number else f"{stack}.json"
            _append(self.folder / name, json.dumps(state.document, indent=1), fresh=True)
            names[stack] = name
        self.write("backup", files=names, digest=source.digest, dest_created=dest_created)

    def backup_of(self, stack: str) -> State | None:
        """Read back the newest backup of a stack."""
        line = self.last("backup")
        if line is None:
            return None
        text = (self.folder / line["files"][stack]).read_text(encoding="utf-8")
        return State(json.loads(text))

    @property
    def _first(self) -> Json:
        return self.entries[0]


def find(root: Path, backend: str) -> list[Promotion]:
    """Give the promotions recorded for this backend, oldest first."""
    if not root.is_dir():
        return []
    folders = sorted(f for f in root.iterdir() if (f / JOURNAL).is_file())
    found = [Promotion(f) for f in folders]
    return [p for p in found if p.entries and p.backend == backend]


def _whole_lines(text: str) -> Iterator[Json]:
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(entry, dict) and "event" in entry:
            yield entry


def _append(path: Path, text: str, *, fresh: bool = False) -> None:
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if fresh else os.O_APPEND)
    with os.fdopen(os.open(path, flags, PRIVATE_FILE), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    _sync_dir(path.parent)


def _sync_dir(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
