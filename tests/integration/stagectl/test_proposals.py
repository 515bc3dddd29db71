"""`assert_nothing_proposed` sees a change, and is content without one."""

import subprocess
from dataclasses import dataclass

import pytest

from tests.integration.stagectl.proposals import assert_nothing_proposed
from tests.integration.stagectl.toybox import Toy


@dataclass(frozen=True)
class Running:
    """The toy as the helper wants it."""

    toy: Toy

    def run(self, *command: str, ok: bool = True) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            command,
            cwd=self.toy.folder,
            env=self.toy.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not ok or done.returncode == 0, done.stdout + done.stderr
        return done


def test_a_changed_program_is_seen_and_an_unchanged_one_is_not(toy: Toy) -> None:
    assert_nothing_proposed(Running(toy), "v0")
    toy.configure("v0", "config:\n", "config:\n  toy:replacing: true\n")
    with pytest.raises(AssertionError, match="prod-airbyte"):
        assert_nothing_proposed(Running(toy), "v0")
