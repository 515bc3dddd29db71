"""Make every piece available, or find that it is; the one place where the steps meet."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from engine import cache, download, find, gobuild, standins
from engine.choice import CLI, LANGUAGE_HOST, Installed, Source, all_installed, choose
from engine.errors import EngineError
from engine.pins import Pins
from engine.progress import HEARTBEAT_SECONDS, Say

RECORD = "engine.json"
LOCK_HOURS = 2
LOCK = "ensure"


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One piece as people see it: what it is, its version, where it came from, where it is."""

    name: str
    version: str
    source: str
    path: str


@dataclass(frozen=True, kw_only=True)
class Engine:
    """An engine that is ready. ``home`` is the user's own PULUMI_HOME if all is installed."""

    pieces: tuple[Piece, ...]
    bin_dir: str
    home: str
    python: str

    def environment(self, path: str) -> dict[str, str]:
        """Variables that put it to use; ``path`` is the PATH to extend.

        The Python's folder goes first: the language host of pins.toml runs the first
        ``python3`` on PATH, whatever ``runtime.options.virtualenv`` says.
        """
        entries = [str(Path(self.python).parent), self.bin_dir, path]
        return {
            "PATH": os.pathsep.join(entries),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_PYTHON_CMD": self.python,
            "PULUMI_HOME": self.home,
        }


@dataclass(frozen=True, kw_only=True)
class _Plan:
    pins: Pins
    installed: Installed
    chosen: dict[str, Source]
    python: Path

    @property
    def binaries(self) -> Path:
        root = cache.cache_root()
        if Source.DOWNLOAD in self.chosen.values():
            return root / f"download-{self.pins.cli.version}"
        return root / cache.build_hash(self.pins)

    @property
    def bin_dir(self) -> Path:
        return self.installed.cli or self.binaries / "bin"

    @property
    def home(self) -> Path:
        if all_installed(self.chosen):
            return find.user_home()
        name = cache.home_hash(
            self.pins,
            {piece: source.value for piece, source in self.chosen.items()},
            self.python,
            self.binaries.name,
        )
        return cache.cache_root() / f"home-{name}"


def _plan(pins: Pins, installed: Installed, python: Path, *, download_works: bool) -> _Plan:
    chosen = choose(installed, download_works=download_works, pins=pins)
    return _Plan(pins=pins, installed=installed, chosen=chosen, python=python)


def _pieces(plan: _Plan) -> tuple[Piece, ...]:
    pins, bin_dir = plan.pins, plan.bin_dir
    versions = {CLI: pins.cli.version, LANGUAGE_HOST: pins.language_host.version, **pins.plugins}
    if plan.chosen[LANGUAGE_HOST] is not Source.BUILT:
        versions[LANGUAGE_HOST] = pins.cli.version
    paths = {CLI: bin_dir / "pulumi", LANGUAGE_HOST: bin_dir / find.LANGUAGE_HOST}
    for plugin in pins.plugins:
        paths[plugin] = plan.home / "plugins" / pins.plugin_folder(plugin)
    return tuple(
        Piece(name=name, version=versions[name], source=source.value, path=str(paths[name]))
        for name, source in plan.chosen.items()
    )


def _engine(plan: _Plan) -> Engine:
    return Engine(
        pieces=_pieces(plan),
        bin_dir=str(plan.bin_dir),
        home=str(plan.home),
        python=str(plan.python),
    )


def ready(pins: Pins, python: Path) -> Engine | None:
    """The engine if nothing has to be made, else ``None``; asks no network."""
    installed = find.installed(pins)
    for download_works in (True, False):
        plan = _plan(pins, installed, python, download_works=download_works)
        if all_installed(plan.chosen) or (plan.home / RECORD).exists():
            return _engine(plan)
    return None


def _fill_binaries(plan: _Plan, part: Path, say: Say) -> None:
    if plan.chosen[CLI] is Source.DOWNLOAD:
        download.fetch_cli(plan.pins, part, say)
    elif Source.BUILT in plan.chosen.values():
        gobuild.build(plan.pins, part, say)


def _link_files(source: Path, folder: Path) -> None:
    # Pulumi passes over a plugin folder that is itself a link; links inside it are fine.
    folder.mkdir()
    for entry in source.iterdir():
        (folder / entry.name).symlink_to(entry)


def _fill_home(plan: _Plan, part: Path, say: Say) -> None:
    for plugin, version in plan.pins.plugins.items():
        source, name = plan.chosen[plugin], plan.pins.plugin_folder(plugin)
        folder = part / "plugins" / name
        folder.parent.mkdir(exist_ok=True)
        if source is Source.INSTALLED:
            _link_files(plan.installed.plugins[plugin], folder)
        elif source is Source.DOWNLOAD:
            download.install_plugin(plan.pins, plugin, plan.bin_dir / "pulumi", part, say)
        elif source is Source.BUILT:
            _link_files(plan.binaries / plugin, folder)
        else:
            folder.mkdir()
            standins.install(plugin, version, plan.python, folder, plan.home / "plugins" / name)
    (part / RECORD).write_text(json.dumps(asdict(_engine(plan)), indent=2))


def _make(plan: _Plan, say: Say) -> None:
    if not plan.binaries.exists():
        if Source.BUILT in plan.chosen.values():
            gobuild.observe_and_check(cache.cache_root())
        cache.make_atomically(plan.binaries, lambda part: _fill_binaries(plan, part, say))
    if not plan.home.exists():
        cache.make_atomically(plan.home, lambda part: _fill_home(plan, part, say))


def ensure(pins: Pins, python: Path, say: Say) -> Engine:
    """Make the engine ready, saying what happens.

    Args:
        pins: the versions.
        python: interpreter of the environment that holds the Pulumi SDKs; the local
            plugins run in it.
        say: takes a line of progress.

    Raises:
        EngineError: something needed is not there; nothing half-made is left.
    """
    found = ready(pins, python)
    if found:
        return found
    tries = iter(range(int(LOCK_HOURS * 3600 / HEARTBEAT_SECONDS)))

    def waiting() -> bool:
        say("another run is preparing the engine, waiting for it")
        threading.Event().wait(HEARTBEAT_SECONDS)
        return next(tries, None) is not None

    try:
        with cache.locked(LOCK, waiting):
            found = ready(pins, python)
            if found:
                return found
            works = download.works(pins, say)
            plan = _plan(pins, find.installed(pins), python, download_works=works)
            _make(plan, say)
            return _engine(plan)
    except TimeoutError as error:
        raise EngineError(
            found=f"another run has held {cache.cache_root() / LOCK}.lock for {LOCK_HOURS} hours",
            needed="the lock",
            way_out="end the other run",
        ) from error
