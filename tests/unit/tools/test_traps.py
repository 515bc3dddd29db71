"""docs/reference/airbyte-traps.md: every trap has a place in the code and tests, and they exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs/reference/airbyte-traps.md").read_text()
CODE = ("airbyte/", "components/", "stages/", "db_migration/")
NAMED = re.compile(r"`((?:tests|airbyte|components|stages|db_migration)/[^`:]+)(?:::([^`]+))?`")


def rows() -> Iterator[tuple[int, str, str]]:
    """Yield number, places and proofs of each trap."""
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 6 and cells[1].isdigit():
            yield int(cells[1]), cells[3], cells[4]


def test_all_27_are_there_in_order() -> None:
    assert [number for number, _, _ in rows()] == list(range(1, 28))


@pytest.mark.parametrize(("number", "places", "proofs"), list(rows()))
def test_each_has_a_place_and_a_test(number: int, places: str, proofs: str) -> None:
    assert any(path.startswith(CODE) for path, _ in NAMED.findall(places)), number
    found = NAMED.findall(proofs)
    assert found, number
    assert all(path.startswith("tests/") for path, _ in found), number


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED.findall(TEXT))))
def test_what_is_named_exists(path: str, name: str) -> None:
    text = (ROOT / path).read_text()
    wanted = f"def {name}(" if name.startswith("test_") else name
    assert wanted in text, f"{path} has no `{name}`"
