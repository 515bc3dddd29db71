from __future__ import annotations

from pathlib import Path

import pytest

from engine.plugins.command.upload import CopyToRemote
from engine.plugins.resource import PluginError, Properties
from engine.plugins.wire import Archive, Asset, Plain
from tests.unit.engine.conftest import Recorder
from tests.unit.engine.sshd import SshServer

COPY = CopyToRemote()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "payload"
    (source / "sub").mkdir(parents=True)
    (source / "a").write_text("A")
    (source / "sub" / "b").write_text("B")
    return source


def copy(recorder: Recorder, connection: Properties, source: Plain, target: str) -> None:
    news: Properties = {"connection": connection, "source": source, "remotePath": target}
    COPY.create(recorder.context(), "name", news)


def test_a_text_becomes_a_file_and_its_folders_are_made(
    recorder: Recorder, connection: Properties, sshd: SshServer
) -> None:
    copy(recorder, connection, Asset(hash="h", text="héllo"), "/deep/er/file")
    assert (sshd.root / "deep/er/file").read_text() == "héllo"


def test_a_text_can_not_become_a_folder(
    recorder: Recorder, connection: Properties, sshd: SshServer
) -> None:
    (sshd.root / "d").mkdir()
    with pytest.raises(PluginError, match="is a directory"):
        copy(recorder, connection, Asset(hash="h", text="x"), "/d")


def test_a_file_overwrites_a_file_and_goes_into_a_folder(
    recorder: Recorder, connection: Properties, sshd: SshServer, folder: Path
) -> None:
    source = Asset(hash="h", path=str(folder / "a"))
    (sshd.root / "file").write_text("old and longer")
    (sshd.root / "dir").mkdir()
    copy(recorder, connection, source, "/file")
    copy(recorder, connection, source, "/dir")
    assert (sshd.root / "file").read_text() == "A"
    assert (sshd.root / "dir" / "a").read_text() == "A"


@pytest.mark.parametrize(("ending", "inside"), [("", "target/payload"), ("/", "target")])
def test_a_folder_goes_in_under_its_name_or_with_a_slash_its_content(
    recorder: Recorder,
    connection: Properties,
    sshd: SshServer,
    folder: Path,
    *,
    ending: str,
    inside: str,
) -> None:
    (sshd.root / "target").mkdir()
    copy(recorder, connection, Archive(hash="h", path=f"{folder}{ending}"), "/target")
    assert (sshd.root / inside / "a").read_text() == "A"
    assert (sshd.root / inside / "sub" / "b").read_text() == "B"


def test_a_folder_can_not_replace_a_file(
    recorder: Recorder, connection: Properties, sshd: SshServer, folder: Path
) -> None:
    (sshd.root / "target").write_text("x")
    with pytest.raises(PluginError, match="not a directory"):
        copy(recorder, connection, Archive(hash="h", path=f"{folder}/"), "/target")


def test_a_missing_source_is_an_error(recorder: Recorder, connection: Properties) -> None:
    with pytest.raises(PluginError, match="no-such"):
        copy(recorder, connection, Asset(hash="h", path="/no-such"), "/x")


class TestUpdate:
    @pytest.fixture
    def olds(self, connection: Properties) -> Properties:
        source = Asset(hash="one", text="one")
        return {"connection": connection, "source": source, "remotePath": "/f"}

    def update(self, recorder: Recorder, olds: Properties, **news: Plain) -> None:
        COPY.update(recorder.context(), "id", olds, {**olds, **news})

    def test_new_content_is_copied(
        self, recorder: Recorder, olds: Properties, sshd: SshServer
    ) -> None:
        self.update(recorder, olds, source=Asset(hash="two", text="two"))
        assert (sshd.root / "f").read_text() == "two"

    def test_a_new_target_is_copied(
        self, recorder: Recorder, olds: Properties, sshd: SshServer
    ) -> None:
        self.update(recorder, olds, remotePath="/g")
        assert (sshd.root / "g").read_text() == "one"

    def test_a_new_connection_alone_copies_nothing(
        self, recorder: Recorder, olds: Properties, sshd: SshServer
    ) -> None:
        self.update(recorder, olds, connection={"host": "elsewhere"})
        assert sshd.dials == 0


def test_only_sources_that_can_be_copied_as_they_are_pass_the_check() -> None:
    def faults(source: Plain) -> list[tuple[str, str]]:
        return COPY.refuse({"connection": {}, "remotePath": "/x", "source": source})

    assert faults(Asset(hash="h", text="")) == []
    assert faults(Archive(hash="h", path="/x")) == []
    assert faults(Asset(hash="h", uri="https://example.org"))[0][0] == "source"
    assert faults(Archive(hash="h"))[0][0] == "source"
    assert faults("text")[0][0] == "source"
