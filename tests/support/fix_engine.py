"""Pytest plugin: the pinned Pulumi engine as the environment of a subprocess."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Engine:
    """The engine that `python -m engine ensure` provides."""

    bin_dir: Path
    home: Path
    python: Path

    def environment(self, backend: Path, passphrase: str) -> dict[str, str]:
        """Give the whole environment for pulumi, with a file backend of one's own."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PULUMI_")}
        path = os.pathsep.join([str(self.python.parent), str(self.bin_dir), kept["PATH"]])
        return {
            **kept,
            "PATH": path,
            "PULUMI_HOME": str(self.home),
            "PULUMI_PYTHON_CMD": str(self.python),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_BACKEND_URL": f"file://{backend}",
            "PULUMI_CONFIG_PASSPHRASE": passphrase,
        }


@pytest.fixture(scope="session")
def pulumi_engine() -> Engine:
    """Provide the pinned engine; builds it the first time on a machine."""
    return ready()


@cache
def ready() -> Engine:
    """Wait for the engine if somebody builds it, or build it."""
    done = subprocess.run(
        [sys.executable, "-m", "engine", "ensure", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return Engine(Path(answer["bin_dir"]), Path(answer["home"]), Path(answer["python"]))
