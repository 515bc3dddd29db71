"""The node's objects, as files: they outlive a restart of the node and die with it."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Object = dict[str, Any]
HOME = "/var/lib/abctl-node"


class Store:
    """Objects by kind and name, all of namespace airbyte-abctl."""

    def __init__(self, home: Path | None = None) -> None:
        """Open the folder of NODE_HOME."""
        self.home = home or Path(os.environ.get("NODE_HOME", HOME))
        self.home.mkdir(parents=True, exist_ok=True)

    def get(self, kind: str, name: str) -> Object | None:
        """Read one object."""
        try:
            return dict(json.loads(self._path(kind, name).read_text()))
        except FileNotFoundError:
            return None

    def put(self, kind: str, name: str, value: Object) -> None:
        """Write one object, whole or not at all."""
        path = self._path(kind, name)
        path.parent.mkdir(exist_ok=True)
        handle, fresh = tempfile.mkstemp(dir=path.parent, prefix=".")
        with os.fdopen(handle, "w") as file:
            json.dump(value, file)
        Path(fresh).replace(path)

    def delete(self, kind: str, name: str) -> None:
        """Remove one object, if it is there."""
        self._path(kind, name).unlink(missing_ok=True)

    def all(self, kind: str) -> dict[str, Object]:
        """Read all objects of a kind."""
        folder = self.home / kind
        names = sorted(path.stem for path in folder.glob("*.json")) if folder.is_dir() else []
        found = {name: self.get(kind, name) for name in names}
        return {name: value for name, value in found.items() if value is not None}

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Change an object without losing another's change."""
        with (self.home / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _path(self, kind: str, name: str) -> Path:
        if not kind.isalpha() or "/" in name or name.startswith("."):
            msg = f"not a kind and a name: {kind!r} {name!r}"
            raise ValueError(msg)
        return self.home / kind / f"{name}.json"
