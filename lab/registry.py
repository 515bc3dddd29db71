"""The registry: push what changed, and write down the digests that the hosts pull."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

from lab import catalog, docker, loopback
from lab.errors import LabError
from lab.images import Builder
from lab.progress import say, step
from lab.spec import REGISTRY, REGISTRY_PORT, LabSpec

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
PUSHES_AT_ONCE = 4


def known_images(spec: LabSpec) -> dict[str, str]:
    """images.json: image key -> reference by digest."""
    if not spec.images_file.exists():
        return {}
    found: dict[str, str] = json.loads(spec.images_file.read_text())
    return found


def digest_of(spec: LabSpec, key: str, tag: str) -> str | None:
    """Digest the registry has for `key:tag`, or nothing."""
    port = spec.loopback_port(REGISTRY, REGISTRY_PORT)
    headers = loopback.answer(port, "HEAD", f"/v2/{key}/manifests/{tag}", MANIFEST)
    return headers["docker-content-digest"] if headers else None


def serve(spec: LabSpec, builder: Builder) -> dict[str, str]:
    """Have the registry serve every image of the catalog; write images.json and return it."""
    references: dict[str, str] = {}
    for image in catalog.SERVED:
        local = builder.ensure(image.name)
        tag = local.rpartition(":")[2]
        absent = [key for key in image.keys if digest_of(spec, key, tag) is None]
        if absent:
            with step(f"pushing {image.name} as {', '.join(absent)}"):
                _push(spec, local, tag, absent)
        for key in image.keys:
            references[key] = f"{spec.registry_endpoint}/{key}@{digest_of(spec, key, tag)}"
    fresh = spec.images_file.with_suffix(".new")
    fresh.write_text(json.dumps(references, indent=2, sort_keys=True) + "\n")
    fresh.replace(spec.images_file)
    say(f"  registry serves {len(references)} images: {spec.images_file}")
    return references


def _push(spec: LabSpec, local: str, tag: str, keys: list[str]) -> None:
    """The first key uploads the layers; the others find them there."""
    _push_one(spec, local, tag, keys[0])
    with ThreadPoolExecutor(PUSHES_AT_ONCE) as pool:
        list(pool.map(lambda key: _push_one(spec, local, tag, key), keys[1:]))


def _push_one(spec: LabSpec, local: str, tag: str, key: str) -> None:
    remote = f"{spec.push_endpoint}/{key}:{tag}"
    docker.run("tag", local, remote)
    try:
        printed = docker.run("push", remote, timeout=600)
    finally:
        docker.attempt("image", "rm", remote)
    if not re.search(r"digest: (sha256:[0-9a-f]{64})", printed):
        raise LabError(
            found=f"`docker push {remote}` named no digest",
            needed="the digest that the hosts pull by",
            way_out="run `python -m lab up` again",
        )
