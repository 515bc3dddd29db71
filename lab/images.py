"""Build local images, each only when the hash of its inputs changed."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from lab import base, docker
from lab.catalog import Image
from lab.embedded_postgres import cache_root
from lab.process import stream
from lab.progress import step
from lab.spec import LabSpec

IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", ".pytest_cache", "tests")


def file_bytes(path: Path) -> Iterable[bytes]:
    """What decides the content of a file or folder: names, executable bits, bytes."""
    for file in sorted([path, *path.rglob("*")]):
        if file.is_file() and "__pycache__" not in file.parts:
            yield str(file.relative_to(path)).encode()
            yield oct(file.stat().st_mode & 0o111).encode()
            yield file.read_bytes()


class Builder:
    """Knows every image's tag and makes the ones that are missing."""

    def __init__(self, spec: LabSpec, images: Iterable[Image]) -> None:
        """Nothing is built yet."""
        self.logs = spec.folder / "logs"
        self.images = {image.name: image for image in images}
        self._tags: dict[str, str] = {}

    def tag(self, name: str) -> str:
        """Local reference whose tag is the hash of everything that decides the content."""
        if name not in self._tags:
            digest = hashlib.sha256(base.RECIPE.encode())
            if name != "base":
                digest = self._digest(self.images[name])
            self._tags[name] = f"airbyte-lab/{name}:{digest.hexdigest()[:16]}"
        return self._tags[name]

    def _digest(self, image: Image) -> "hashlib._Hash":
        digest = hashlib.sha256(self.tag(image.parent).encode())
        digest.update(image.dockerfile.read_bytes())
        digest.update(repr(sorted(image.arguments.items())).encode())
        for source in image.sources:
            digest.update(source.target.encode())
            if source.fingerprint:
                digest.update(source.fingerprint())
            else:
                for part in file_bytes(source.path()):
                    digest.update(part)
        return digest

    def ensure(self, name: str) -> str:
        """Build `name` and its parents when they are missing; the local reference."""
        tag = self.tag(name)
        if docker.image_id(tag) is None:
            if name == "base":
                with step("bootstrapping the base image (about 75 s the first time)") as current:
                    base.build(tag, current, self.logs / "image-base.log")
            else:
                self.ensure(self.images[name].parent)
                self._build(self.images[name], tag)
            self._forget_older(name, tag)
        return tag

    def _build(self, image: Image, tag: str) -> None:
        work = cache_root() / "tmp"
        work.mkdir(parents=True, exist_ok=True)
        sources = [(source.target, source.path()) for source in image.sources]
        with (
            step(f"building {image.name}") as current,
            tempfile.TemporaryDirectory(dir=work, prefix=f"{image.name}-") as scratch,
        ):
            context = Path(scratch)
            shutil.copy(image.dockerfile, context / "Dockerfile")
            for target, path in sources:
                _stage(path, context / target)
            arguments = {"BASE": self.tag(image.parent), **image.arguments}
            flags = [part for pair in arguments.items() for part in ("--build-arg", "=".join(pair))]
            log = self.logs / f"image-{image.name}.log"
            stream(
                ["docker", "build", "--force-rm", "--tag", tag, *flags, str(context)], current, log
            )

    def _forget_older(self, name: str, tag: str) -> None:
        form = "{{.Repository}}:{{.Tag}}"
        listing = docker.run("image", "ls", "--format", form, f"airbyte-lab/{name}")
        for older in set(listing.split()) - {tag}:
            docker.attempt("image", "rm", older)


def _stage(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, target, symlinks=True, ignore=IGNORED)
    else:
        shutil.copy2(path, target)
