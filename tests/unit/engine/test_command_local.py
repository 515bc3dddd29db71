from __future__ import annotations

from pathlib import Path

import pytest

from engine.plugins.command.local import LocalCommand, matching
from engine.plugins.resource import PluginError, Properties
from engine.plugins.wire import Asset, Plain
from tests.unit.engine.conftest import Recorder

COMMAND = LocalCommand()


def run(recorder: Recorder, **news: Plain) -> Properties:
    return COMMAND.create(recorder.context(), "name", dict(news))[1]


def test_shell_folder_variables_and_stdin(recorder: Recorder, tmp_path: Path) -> None:
    done = run(
        recorder,
        create="pwd; echo $GREETING; cat; echo noise >&2",
        dir=str(tmp_path),
        environment={"GREETING": "hi"},
        stdin="from stdin",
    )
    assert done == {"stdout": f"{tmp_path}\nhi\nfrom stdin", "stderr": "noise"}
    assert set(recorder.lines) == {str(tmp_path), "hi", "from stdin", "noise"}


def test_id_is_the_name_and_eight_hex_digits(recorder: Recorder) -> None:
    resource_id, _ = COMMAND.create(recorder.context(), "name", {"create": "true"})
    assert resource_id.startswith("name")
    assert len(bytes.fromhex(resource_id.removeprefix("name"))) == 4


def test_interpreter_replaces_the_shell(recorder: Recorder) -> None:
    done = run(recorder, create="print(6*7)", interpreter=["python3", "-c"])
    assert done["stdout"] == "42"


def test_a_command_that_does_not_read_its_stdin_is_fine(recorder: Recorder) -> None:
    assert run(recorder, create="echo in", stdin="x" * 1_000_000)["stdout"] == "in"


def test_failure_carries_status_command_and_output(recorder: Recorder) -> None:
    with pytest.raises(PluginError) as caught:
        run(recorder, create="echo why; exit 7", logging="none")
    assert str(caught.value) == 'exit status 7: running "echo why; exit 7":\nwhy\n'
    assert recorder.lines == []


def test_a_missing_folder_is_an_error(recorder: Recorder) -> None:
    with pytest.raises(PluginError, match="no-such"):
        run(recorder, create="true", dir="/no-such")


def test_cancel_kills(recorder: Recorder) -> None:
    recorder.cancelled.set()
    with pytest.raises(PluginError, match="signal"):
        run(recorder, create="exec sleep 60")


def test_previous_output_and_update_and_delete(recorder: Recorder, tmp_path: Path) -> None:
    olds: Properties = {
        "stdout": "before",
        "stderr": "",
        "delete": f"echo $PULUMI_COMMAND_STDOUT > {tmp_path}/d",
    }
    script = 'echo "$PULUMI_COMMAND_STDOUT ${PULUMI_COMMAND_STDERR-unset}"'
    news: Properties = {"create": "false", "update": script}
    done = COMMAND.update(recorder.context(), "id", olds, news)
    assert done["stdout"] == "before unset"
    COMMAND.delete(recorder.context(), "id", olds)
    assert (tmp_path / "d").read_text() == "before\n"


def test_an_update_without_any_command_keeps_the_output(recorder: Recorder) -> None:
    olds: Properties = {"stdout": "kept", "stderr": "e"}
    assert COMMAND.update(recorder.context(), "id", olds, {"delete": "true"}) == olds


def test_asset_paths_return_files(recorder: Recorder, tmp_path: Path) -> None:
    done = run(recorder, create="echo x > made", dir=str(tmp_path), assetPaths=["m*"])
    assert done["assets"] == {"made": Asset(hash="", path=str(tmp_path / "made"))}


def test_globs_follow_the_documented_example(tmp_path: Path) -> None:
    for name in ("assets/logos/logo.svg", "src/index.js", "src/secret.js", "other.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    rules = ["assets/**", "src/**.js", "!**secret.*"]
    assert matching(tmp_path, rules) == ["assets/logos/logo.svg", "src/index.js"]
    assert matching(tmp_path, ["*"]) == ["other.txt"]
