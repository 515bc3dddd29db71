from __future__ import annotations

from pathlib import Path

import pytest

from engine.choice import CLI, LANGUAGE_HOST, Installed, Source, all_installed, choose
from engine.pins import load

PINS = load()
NOTHING = Installed(cli=None, plugins={})
ALL = Installed(cli=Path("/b"), plugins={name: Path("/p") / name for name in PINS.plugins})


def test_what_is_installed_wins_over_everything() -> None:
    for works in (True, False):
        assert all_installed(choose(ALL, download_works=works, pins=PINS))


def test_with_the_internet_everything_is_official() -> None:
    chosen = choose(NOTHING, download_works=True, pins=PINS)
    assert set(chosen.values()) == {Source.DOWNLOAD}


def test_offline_builds_what_has_sources_and_imitates_the_rest() -> None:
    assert choose(NOTHING, download_works=False, pins=PINS) == {
        CLI: Source.BUILT,
        LANGUAGE_HOST: Source.BUILT,
        "docker": Source.BUILT,
        "command": Source.STAND_IN,
        "postgresql": Source.STAND_IN,
    }


@pytest.mark.parametrize("works", [True, False])
@pytest.mark.parametrize("plugin", sorted(PINS.plugins))
def test_an_official_plugin_is_never_passed_over(plugin: str, *, works: bool) -> None:
    installed = Installed(cli=None, plugins={plugin: Path("/official")})
    assert choose(installed, download_works=works, pins=PINS)[plugin] is Source.INSTALLED
