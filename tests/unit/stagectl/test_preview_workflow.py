"""The workflow for pull requests: least permissions, pinned actions, and its shell, run."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

FILE = Path(__file__).resolve().parents[3] / ".github/workflows/preview.yml"
MARKER = "<!-- stagectl preview -->"
MOST_BYTES = 65_536 - len(MARKER)
"""Of what the stages share: GitHub's limit without the workflow's own line."""
COMMENTS, ONE_COMMENT = "repos/o/r/issues/5/comments", "repos/o/r/issues/comments"


@pytest.fixture
def workflow() -> dict[str, Any]:
    # As text: YAML 1.1 reads the key `on` as true.
    found: dict[str, Any] = yaml.load(FILE.read_text(), Loader=yaml.BaseLoader)  # noqa: S506
    return found


def script(workflow: dict[str, Any], name: str) -> str:
    return str(
        next(s["run"] for s in workflow["jobs"]["preview"]["steps"] if s.get("name") == name)
    )


def run(text: str, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(folder / "home"), **environment}
    argv = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text]
    return subprocess.run(
        argv, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


def test_least_permissions_and_pinned_actions(workflow: dict[str, Any]) -> None:
    (job,) = workflow["jobs"].values()
    assert workflow["permissions"] == {}
    assert job["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert list(workflow["on"]) == ["pull_request"]
    assert job["if"] == "github.event.pull_request.head.repo.full_name == github.repository"
    actions = [step["uses"] for step in job["steps"] if "uses" in step]
    assert [a.split("@")[0] for a in actions] == ["actions/checkout", "pulumi/actions"]
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action) for action in actions)
    assert job["steps"][0]["with"]["persist-credentials"] == "false"
    for step in job["steps"]:
        assert "${{" not in step.get("run", ""), "expressions reach a script by `env` only"
        named = step.get("name")
        assert ("GH_TOKEN" in step.get("env", {})) == (named == "Comment")
        assert ("secrets." in str(step)) == (named == "Preview")


@pytest.mark.parametrize(
    ("changed", "stages"),
    [
        ("Pulumi.v1.yaml", "v1"),
        ("Pulumi.v0.yaml", "v0"),
        ("Pulumi.v2.yaml", "v2"),
        ("Pulumi.yaml", "v0 v1 v2"),
        ("stages/v1.py", "v0 v1 v2"),
        ("__main__.py", "v0 v1 v2"),
        ("requirements/all.lock", "v0 v1 v2"),
        ("README.md", ""),
        ("docs/Pulumi.v1.yaml", ""),
    ],
)
def test_changed_stages(
    workflow: dict[str, Any], tmp_path: Path, changed: str, stages: str
) -> None:
    executable(tmp_path / "bin/git", f"echo {changed}")
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine/pins.toml").write_text('[cli]\nversion = "3.1.0"\n')
    done = run(script(workflow, "Changed stages"), tmp_path, GITHUB_OUTPUT=str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").read_text() == f"stages={stages}\npulumi=3.1.0\n"


@pytest.mark.parametrize(
    ("codes", "worst"),
    [((0, 0, 0), 0), ((0, 8, 0), 8), ((8, 0, 0), 8), ((7, 0, 8), 8), ((0, 0, 3), 3), ((8,), 8)],
)
def test_previews_each_stage_and_fails_with_the_worst(
    workflow: dict[str, Any], tmp_path: Path, codes: tuple[int, ...], worst: int
) -> None:
    stages = [f"v{number}" for number in range(len(codes))]
    tools = tmp_path / ".venv/bin"
    executable(tools / "python", f'[ "$1" = -m ] || exec {sys.executable} "$@"')
    executable(
        tools / "stagectl",
        '[ -z "$OPERATOR_KEY" ] || exit 99\n'
        'echo "### $2: $*"; '
        f"codes=({' '.join(map(str, codes))}); exit ${{codes[${{2#v}}]}}",
    )
    (tmp_path / "Pulumi.v0.yaml").write_text(
        "config:\n  airbyte-migration:operator: {identityFile: ~/keys/operator}\n"
    )
    environment = {
        "STAGES": " ".join(stages),
        "RUNNER_TEMP": str(tmp_path),
        "OPERATOR_KEY": "the key",
    }
    done = run(script(workflow, "Preview"), tmp_path, **environment)
    assert done.returncode == worst, done.stderr
    comment = (tmp_path / "comment.md").read_text()
    limit = int(re.findall(r"--limit (\d+)", comment)[0])
    assert MOST_BYTES - 2_000 < limit * len(stages) < MOST_BYTES
    said = [f"### {stage}: preview {stage} --markdown --limit {limit}" for stage in stages]
    assert comment.splitlines() == [MARKER, *said]
    key = tmp_path / "home/keys/operator"
    assert (key.read_text(), key.stat().st_mode & 0o777) == ("the key\n", 0o600)


@pytest.mark.parametrize(
    ("listed", "calls"),
    [
        ("", f"--silent --method POST {COMMENTS}"),
        ("17\n23", f"--silent --method PATCH {ONE_COMMENT}/17"),
    ],
)
def test_one_comment_is_made_once_and_then_edited(
    workflow: dict[str, Any], tmp_path: Path, listed: str, calls: str
) -> None:
    executable(
        tmp_path / "bin/gh",
        f'if [ "$2" = --paginate ]; then printf "{listed}"; else echo "$*" >>calls; fi',
    )
    environment = {"RUNNER_TEMP": str(tmp_path), "COMMENTS": COMMENTS, "ONE_COMMENT": ONE_COMMENT}
    nothing = run(script(workflow, "Comment"), tmp_path, **environment)
    assert nothing.returncode == 0
    assert not (tmp_path / "calls").exists()
    (tmp_path / "comment.md").write_text(f"{MARKER}\n")
    done = run(script(workflow, "Comment"), tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "calls").read_text() == f"api {calls} -F body=@{tmp_path}/comment.md\n"
