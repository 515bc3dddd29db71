"""What `stagectl preview` prints: words, warnings, trimming, exit codes; never a value."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stages.stagectl import preview, preview_markdown, preview_stage
from stages.stagectl.cli import app
from stages.stagectl.errors import EngineError, ExitCode, RefusedError, StagectlError
from stages.stagectl.preview import Change, Preview
from stages.stagectl.preview_report import Ground, Report, ground_of
from stages.stagectl.state import Json

SECRET = "planted-7h1s-must-not-show"
CREATE = Change("create", "docker:x:Image", "new", ())
UPDATE = Change("update", "command:remote:Command", "guard", ("environment", "stdin"))
REPLACE = Change("replace", "docker:x:Container", "db", ("image",))
DELETE = Change("delete", "docker:x:Volume", "data", ())
UNKNOWN = Change("some-new-operation", "docker:x:Volume", "odd", ())


def report(*changes: Change, holder: str | None = "v0", unchanged: int = 7) -> Report:
    return Report(stage="v1", holder=holder, preview=Preview("v1", changes, unchanged))


def step(op: str, name: str = "db", **more: object) -> Json:
    return {"op": op, "urn": f"urn:pulumi:v1::toy::a:b:C$docker:x:Container::{name}", **more}


@pytest.mark.parametrize(
    ("stage", "holder", "ground", "says"),
    [
        ("v1", None, Ground.EMPTY, "in an empty world"),
        ("v1", "v1", Ground.HELD, "a copy of the deployment, which v1 holds."),
        ("v1", "v0", Ground.PROMOTED, "which v0 holds, promoted to v1."),
        ("v2", "v0", Ground.PROMOTED, "which v0 holds, promoted to v2."),
        ("v0", "v1", Ground.PASSED, "`pulumi up --stack v0` would be refused"),
    ],
)
def test_ground(stage: str, holder: str | None, ground: Ground, says: str) -> None:
    assert ground_of(stage, holder) is ground
    found = Report(stage=stage, holder=holder, preview=Preview(stage, (), 0))
    assert says in found.sentence
    assert found.sentence.endswith("No host was asked.")


@pytest.mark.parametrize(
    ("changes", "summary", "code", "warnings"),
    [
        ((), "7 unchanged", 0, []),
        ((CREATE, CREATE), "2 to create, 7 unchanged", 0, []),
        ((CREATE, UPDATE), "1 to update in place, 1 to create, 7 unchanged", 0, []),
        (
            (CREATE, REPLACE),
            "1 to replace, 1 to create, 7 unchanged",
            8,
            ["would **replace** `db` (`docker:x:Container`), because of `image`"],
        ),
        (
            (REPLACE, DELETE),
            "1 to delete, 1 to replace, 7 unchanged",
            8,
            ["would **replace** `db`", "would **delete** `data` (`docker:x:Volume`)"],
        ),
        ((UNKNOWN,), "1 to some-new-operation, 7 unchanged", 8, ["**some-new-operation** `odd`"]),
    ],
)
def test_summary_first_then_a_warning_for_each(
    changes: tuple[Change, ...], summary: str, code: int, warnings: list[str]
) -> None:
    found = report(*changes)
    lines = preview_markdown.render(found).splitlines()
    assert lines[0] == f"### v1: {summary}"
    warned = [line for line in lines if line.startswith("> - ")]
    assert len(warned) == len(warnings) == len(found.preview.violations)
    assert all(text in line for text, line in zip(warnings, warned, strict=True))
    assert found.exit_code == code
    assert len([line for line in lines if line.startswith("| ")]) == len(changes) + bool(changes)


def test_what_needs_a_decision_comes_first_and_creates_last() -> None:
    found = report(CREATE, UPDATE, REPLACE, DELETE, UNKNOWN)
    assert found.changes == [UNKNOWN, DELETE, REPLACE, UPDATE, CREATE]
    text = preview_markdown.render(found)
    assert (
        "| update in place | `command:remote:Command` | `guard` | `environment`, `stdin` |" in text
    )
    assert "| **delete** | `docker:x:Volume` | `data` |  |" in text


def test_steps_of_one_replacement_are_one_change() -> None:
    steps = [
        step("create-replacement"),
        step("replace", replaceReasons=["image"]),
        step("delete-replaced"),
        step("delete-replaced", "other"),
    ]
    found = preview.read("v1", {"steps": steps})
    assert [(c.op, c.name, c.reasons) for c in found.changes] == [
        ("replace", "db", ("image",)),
        ("replace", "other", ()),
    ]
    assert found.counts == {"replace": 2}


def test_values_are_never_shown() -> None:
    state = {"inputs": {"stdin": SECRET, "plain": SECRET}, "outputs": {"stdout": SECRET}}
    steps = [
        step("update", diffReasons=["stdin"], oldState=state, newState=state),
        step("create", "new", newState=state),
        step("replace", "x", detailedDiff={"envs[0]": {"kind": "update", "value": SECRET}}),
    ]
    digest = {"config": {"password": SECRET}, "steps": steps, "changeSummary": {"same": 1}}
    found = Report(stage="v1", holder="v0", preview=preview.read("v1", digest))
    for text in (preview_markdown.render(found), json.dumps(found.as_json())):
        assert SECRET not in text
        assert "envs[0]" in text


@pytest.mark.parametrize("name", ["a|b", "a`b", "a\nb", "@everyone", "<img src=x>", "n" * 500])
def test_names_can_not_break_the_table(name: str) -> None:
    changes = [Change("replace", name, name, (name,) * 40)]
    text = preview_markdown.render(report(*changes))
    (row,) = [line for line in text.splitlines() if line.startswith("| **")]
    assert row.replace("\\|", "").count("|") == 5
    assert row.count("`") % 2 == 0
    assert "28 more" in row
    assert len(row) < 2500


@pytest.mark.parametrize("limit", [2_000, 10_000, preview_markdown.COMMENT_BYTES])
@pytest.mark.parametrize("count", [0, 1, 30, 3_000])
def test_trimmed_to_its_limit_with_the_summary_kept(limit: int, count: int) -> None:
    replaced = [
        Change("replace", "docker:x:Cöntainer", f"db-{n}", ("image",)) for n in range(count)
    ]
    created = [Change("create", "docker:x:Image", f"new-{n}", ()) for n in range(count)]
    found = report(*created, *replaced)
    text = preview_markdown.render(found, limit)
    assert len(text.encode()) <= limit
    assert text.startswith(f"### v1: {found.summary}\n\n{found.sentence}\n")
    assert text.count("<details>") == text.count("</details>")
    rows = len([line for line in text.splitlines() if line.startswith("| ")][1:])
    left_out = 2 * count - rows
    assert (f"{left_out} more changes: `stagectl preview v1` shows all." in text) == bool(left_out)
    warned = text.count("would **replace**")
    assert (f"**{count - warned} more** of this kind" in text) == (warned < count)


def test_errors_are_shown_as_they_are_and_trimmed() -> None:
    error = EngineError(found="in one line", needed="success", way_out="Ask <b>@somebody</b>.")
    error.details = "1. toy:hosts\n   found:  ```\n   mend:   pulumi config set x"
    text = preview_markdown.render_error("v1", error)
    assert text.startswith("### v1: no preview\n")
    assert f"````text\n{error.details}\n````" in text
    assert "<b>" not in text
    error.details = "\n".join(f"line {n}" for n in range(10_000))
    cut = preview_markdown.render_error("v1", error, 2_000)
    assert len(cut.encode()) <= 2_000
    assert "(cut)" in cut
    plain = RefusedError(found="two hold", needed="one", way_out="Wait.")
    assert "two hold\nneeded: one" in preview_markdown.render_error("v1", plain)


REFUSED = RefusedError(found="v0 and v1 both hold resources", needed="one", way_out="Wait.")


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (report(CREATE), ExitCode.OK),
        (report(REPLACE), ExitCode.WOULD_REPLACE_OR_DELETE),
        (report(DELETE), 8),
        (REFUSED, ExitCode.REFUSED),
        (EngineError(found="settings", needed="-", way_out="-"), ExitCode.ENGINE_FAILED),
    ],
)
@pytest.mark.parametrize("form", [[], ["--markdown"], ["--json"]])
def test_exit_codes_and_forms(
    found: Report | StagectlError,
    code: int,
    form: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def look(*_: object) -> Report:
        if isinstance(found, StagectlError):
            raise found
        return found

    monkeypatch.setattr(preview_stage, "look", look)
    monkeypatch.setenv("STAGECTL_BACKUPS", str(tmp_path / "backups"))
    (tmp_path / "Pulumi.yaml").write_text("name: toy\nruntime: python\n")
    result = CliRunner().invoke(app, ["preview", "v1", "--project-dir", str(tmp_path), *form])
    assert result.exit_code == code
    if form == ["--json"]:
        assert json.loads(result.stdout)["exit_code"] == code
    elif form == ["--markdown"]:
        assert result.stdout.startswith("### v1: ")
    elif isinstance(found, Report):
        assert result.stdout.startswith(f"v1: {found.summary}\n")
        assert ("warning: would" in result.stdout) == (code == 8)


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (["preview", "v9"], 2, "stage v9"),
        (["preview", "v1", "--markdown", "--json"], 2, "--markdown and --json"),
        (["preview", "v1"], 3, "no Pulumi.v1.yaml"),
        (["preview", "v1", "--markdown", "--limit", "10"], 2, "--limit"),
    ],
)
def test_argument_errors(
    argv: list[str], code: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAGECTL_BACKUPS", str(tmp_path / "backups"))
    (tmp_path / "Pulumi.yaml").write_text("name: toy\nruntime: python\n")
    result = CliRunner().invoke(app, [*argv, "--project-dir", str(tmp_path)])
    assert result.exit_code == code
    assert says in result.output
