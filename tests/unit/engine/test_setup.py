"""Cache, finding, prerequisites and download, without Go or network."""

from __future__ import annotations

import fcntl
import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from engine import cache as caching
from engine import download, find, gobuild
from engine.errors import EngineError
from engine.gobuild import check_prerequisites, parse_go_version
from engine.pins import Pins, load
from engine.progress import run
from tests.unit.engine.fakes import fake_plugin, fake_pulumi, quiet

PINS = load()
PYTHON = Path("/venv/bin/python")


class TestHash:
    def test_it_follows_pins_and_go_sources(self, tmp_path: Path) -> None:
        (tmp_path / "go.mod").write_text("module a")
        first = caching.build_hash(PINS, tmp_path)
        assert caching.build_hash(PINS, tmp_path) == first
        newer = replace(PINS, cli=replace(PINS.cli, version="9.9.9"))
        assert caching.build_hash(newer, tmp_path) != first
        (tmp_path / "go.mod").write_text("module b")
        assert caching.build_hash(PINS, tmp_path) != first

    def test_python_files_do_not_rebuild_go(self, tmp_path: Path) -> None:
        first = caching.build_hash(PINS, tmp_path)
        (tmp_path / "plugin.py").write_text("x = 1")
        assert caching.build_hash(PINS, tmp_path) == first

    def test_a_home_follows_the_python_plugins_and_the_interpreter(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(caching, "PLUGIN_SOURCES", tmp_path)
        first = caching.home_hash(PINS, {}, PYTHON, "build")
        assert caching.home_hash(PINS, {}, Path("/other/python"), "build") != first
        (tmp_path / "plugin.py").write_text("x = 1")
        assert caching.home_hash(PINS, {}, PYTHON, "build") != first


class TestAtomic:
    def test_a_failure_leaves_nothing(self, tmp_path: Path) -> None:
        def fill(part: Path) -> None:
            (part / "half").write_text("x")
            msg = "killed"
            raise RuntimeError(msg)

        with pytest.raises(RuntimeError):
            caching.make_atomically(tmp_path / "made", fill)
        assert list(tmp_path.iterdir()) == []

    def test_what_a_killed_run_left_is_removed(self, tmp_path: Path) -> None:
        (tmp_path / ".part-made-old").mkdir()
        caching.make_atomically(tmp_path / "made", lambda part: (part / "f").touch())
        assert [p.name for p in tmp_path.iterdir()] == ["made"]

    def test_the_lock_waits_for_the_other_run(self, cache: Path) -> None:
        cache.mkdir(parents=True)
        asked: list[bool] = []
        with (cache / "x.lock").open("w") as other:
            fcntl.flock(other, fcntl.LOCK_EX)

            def waiting() -> bool:
                asked.append(True)
                if len(asked) == 2:
                    fcntl.flock(other, fcntl.LOCK_UN)
                return True

            with caching.locked("x", waiting):
                assert len(asked) == 2

    def test_the_lock_can_give_up(self, cache: Path) -> None:
        cache.mkdir(parents=True)
        with (cache / "x.lock").open("w") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            with pytest.raises(TimeoutError), caching.locked("x", lambda: False):
                pytest.fail("the lock was held by another")


class TestFind:
    def test_exactly_the_pinned_version_counts(self, cache: Path, tmp_path: Path) -> None:
        old = fake_pulumi(tmp_path / "old", "3.1.0")
        good = fake_pulumi(tmp_path / "good", PINS.cli.version)
        assert find.installed_cli(PINS.cli.version, [old, good]) == good
        assert find.installed_cli(PINS.cli.version, [old]) is None

    def test_without_its_language_host_it_does_not_count(self, cache: Path, tmp_path: Path) -> None:
        folder = fake_pulumi(tmp_path / "p", PINS.cli.version)
        (folder / find.LANGUAGE_HOST).unlink()
        assert find.installed_cli(PINS.cli.version, [folder]) is None

    def test_our_own_build_on_path_is_not_an_installation(self, cache: Path) -> None:
        ours = fake_pulumi(cache / "hash" / "bin", PINS.cli.version)
        assert find.installed_cli(PINS.cli.version, [ours]) is None

    def test_a_stand_in_is_never_taken_for_the_official_plugin(
        self, cache: Path, tmp_path: Path
    ) -> None:
        official = fake_plugin(tmp_path, "docker")
        (fake_plugin(tmp_path, "command") / find.STAND_IN_MARK).touch()
        assert find.official_plugins(PINS, tmp_path) == {"docker": official}

    def test_a_home_of_ours_in_the_environment_is_passed_over(
        self, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PULUMI_HOME", str(cache / "home-1"))
        assert find.user_home() == Path.home() / ".pulumi"


class TestPrerequisites:
    ENOUGH = gobuild.DISK_NEEDED

    def test_all_there(self) -> None:
        check_prerequisites("/go", "go version go1.99.1 linux/amd64", self.ENOUGH)

    @pytest.mark.parametrize(
        ("go", "printed", "free", "found"),
        [
            (None, "", ENOUGH, "no `go` command"),
            ("/go", "go version go1.19.8 linux/amd64", ENOUGH, "go1.19.8"),
            ("/go", "go version go1.99 linux/amd64", 1024**3, "1.0 GiB free"),
        ],
    )
    def test_what_is_missing_is_named_with_the_way_out(
        self, go: str | None, printed: str, free: int, found: str
    ) -> None:
        with pytest.raises(EngineError) as caught:
            check_prerequisites(go, printed, free)
        assert found in caught.value.found
        assert caught.value.needed
        assert caught.value.way_out

    def test_versions_are_read(self) -> None:
        assert parse_go_version("go version go1.26.8 linux/amd64") == (1, 26)
        assert parse_go_version("nonsense") == (0, 0)


class TestProgress:
    def test_a_failed_build_shows_its_last_lines(self, tmp_path: Path) -> None:
        with pytest.raises(EngineError, match="undefined: thing"):
            run(
                "build",
                ["sh", "-c", "echo undefined: thing >&2; exit 2"],
                cwd=tmp_path,
                env={},
                say=quiet,
            )

    def test_a_long_build_is_never_silent(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("engine.progress.HEARTBEAT_SECONDS", 0.05)
        said: list[str] = []
        run(
            "build",
            ["sh", "-c", "echo pkg >&2; sleep 0.2"],
            cwd=tmp_path,
            env={"PATH": "/bin:/usr/bin"},
            say=said.append,
        )
        assert len(said) >= 4
        assert "1 packages compiled" in said[-1]


class TestDownload:
    def test_address(self) -> None:
        assert download.cli_address(PINS, "Linux", "x86_64") == (
            f"https://get.pulumi.com/releases/sdk/pulumi-v{PINS.cli.version}-linux-x64.tar.gz"
        )

    def archive(self, folder: Path) -> Pins:
        local = replace(PINS, download_base=folder.as_uri())
        path = Path(download.cli_address(local, "Linux", "x86_64").removeprefix("file://"))
        path.parent.mkdir(parents=True)
        with tarfile.open(path, "w:gz") as packed:
            info = tarfile.TarInfo("pulumi/pulumi")
            info.size, info.mode = 3, 0o755
            packed.addfile(info, io.BytesIO(b"cli"))
        return local

    def test_it_is_unpacked_into_bin(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("platform.machine", lambda: "x86_64")
        target = tmp_path / "target"
        target.mkdir()
        download.fetch_cli(self.archive(tmp_path / "site"), target, quiet)
        assert (target / "bin" / "pulumi").read_text() == "cli"
        assert [p.name for p in target.iterdir()] == ["bin"]

    def test_unreachable_is_said_once_and_is_no_error(self, tmp_path: Path) -> None:
        said: list[str] = []
        nowhere = replace(PINS, download_base=(tmp_path / "nowhere").as_uri())
        assert not download.works(nowhere, said.append)
        assert len(said) == 1
