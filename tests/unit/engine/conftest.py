"""Fixtures of the engine's unit tests."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engine.plugins.resource import Context, Properties, Severity
from tests.unit.engine.sshd import SshServer, running


@dataclass
class Recorder:
    """Collects what a resource tells Pulumi."""

    logs: list[tuple[Severity, str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def context(self, **config: str | float | bool) -> Context:
        return Context(
            log=lambda severity, text: self.logs.append((severity, text)),
            status=self.lines.append,
            config=dict(config),
            cancelled=self.cancelled,
        )


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[SshServer]:
    root = tmp_path / "host"
    root.mkdir()
    with running(root) as server:
        yield server


@pytest.fixture
def connection(sshd: SshServer) -> Properties:
    """A connection that works: key, host key, and no second try."""
    text = io.StringIO()
    sshd.user_key.write_private_key(text)
    return {
        "host": "127.0.0.1",
        "port": float(sshd.port),
        "user": "operator",
        "privateKey": text.getvalue(),
        "hostKey": sshd.host_key_line,
        "dialErrorLimit": 0.0,
    }


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, and a user who has nothing installed."""
    monkeypatch.setenv("AIRBYTE_MIGRATION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.delenv("PULUMI_HOME", raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return tmp_path / "cache" / "engine"
