"""An image is built again when what it is made from changed, and only then."""

from pathlib import Path

import pytest

from lab import base, catalog, images
from lab.catalog import Image, Source
from lab.spec import LabSpec


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "files").mkdir()
    (tmp_path / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nCOPY files /files\n")
    (tmp_path / "files/one").write_text("1")
    return tmp_path


def tag(recipe: Path, **arguments: str) -> str:
    image = Image(
        name="tried",
        parent="base",
        dockerfile=recipe / "Dockerfile",
        sources=(Source(target="files", path=lambda: recipe / "files"),),
        arguments=arguments,
    )
    return images.Builder(LabSpec(), [image]).tag("tried")


def test_same_inputs_same_tag(recipe: Path) -> None:
    (recipe / "files/__pycache__").mkdir()
    before = tag(recipe)
    (recipe / "files/__pycache__/one.pyc").write_text("made by running it")
    assert tag(recipe) == before


def test_every_input_counts(recipe: Path) -> None:
    tags = [tag(recipe), tag(recipe, ROLE="worker")]
    (recipe / "files/one").write_text("2")
    tags.append(tag(recipe))
    (recipe / "files/one").rename(recipe / "files/two")
    tags.append(tag(recipe))
    (recipe / "files/two").chmod(0o755)
    tags.append(tag(recipe))
    (recipe / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\n")
    tags.append(tag(recipe))
    assert len(set(tags)) == len(tags)


def test_a_changed_parent_changes_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    before = images.Builder(LabSpec(), catalog.EVERY)
    tags = {image.name: before.tag(image.name) for image in catalog.EVERY}
    monkeypatch.setattr(base, "RECIPE", "another base")
    after = images.Builder(LabSpec(), catalog.EVERY)
    assert all(after.tag(name) != old for name, old in tags.items())


def test_parents_are_declared_before_their_children() -> None:
    known = {"base"}
    for image in catalog.EVERY:
        assert image.parent in known, image.name
        known.add(image.name)


def test_no_repository_is_served_twice() -> None:
    keys = [key for image in catalog.SERVED for key in image.keys]
    assert len(keys) == len(set(keys))
