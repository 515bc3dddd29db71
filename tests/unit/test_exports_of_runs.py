"""A run of the program under mocks exports what it exports, whatever ran before it."""

from tests.unit.program_runs import lab_files, run

__all__ = ["lab_files"]


def test_a_run_shows_nothing_of_an_earlier_one() -> None:
    assert set(run("v2").exports) > {"feeds", "active"}
    assert not {"feed", "feeds", "active"} & set(run("v0").exports)
