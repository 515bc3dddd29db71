"""The base image: Debian bookworm from the machine's own apt mirror: no registry is needed."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from lab.embedded_postgres import cache_root
from lab.errors import LabError
from lab.process import output, stream
from lab.progress import Step
from lab.spec import IMAGE_LABEL

SUITE = "bookworm"
SLIM = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists")
"""Folders whose content no container of the lab reads; every host pulls what is left."""

DPKG = "".join(f"path-exclude /{folder}/*\n" for folder in SLIM if folder.startswith("usr"))
APT = """\
APT::Install-Recommends "false";
APT::Install-Suggests "false";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb || true"; };
"""
"""Nothing that was not asked for, and no caches: a Dockerfile need not clean up after apt."""

RECIPE = "\n".join((SUITE, *SLIM, DPKG, APT))
"""Everything that decides the image's content, for its hash."""


def mirror() -> list[str]:
    """The machine's mirror of the suite, as debootstrap's argument; none when apt names none."""
    form = "$(REPO_URI) $(CODENAME) $(COMPONENT)"
    listing = output(["apt-get", "indextargets", "--format", form]).stdout
    found = re.search(rf"^(\S+) {SUITE} main$", listing, re.MULTILINE)
    return [found.group(1)] if found else []


def build(tag: str, current: Step, log: Path) -> None:
    """Bootstrap the tree and import it as `tag`."""
    work = cache_root() / "tmp"
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work, prefix="base-") as scratch:
        root = Path(scratch) / "root"
        command = [
            "debootstrap",
            "--variant=minbase",
            "--include=ca-certificates",
            SUITE,
            str(root),
        ]
        stream([*command, *mirror()], current, log, {"DEBIAN_FRONTEND": "noninteractive"})
        (root / "etc/dpkg/dpkg.cfg.d/slim").write_text(DPKG)
        (root / "etc/apt/apt.conf.d/slim").write_text(APT)
        current.detail = "importing the tree"
        _import(root, tag)


def _import(root: Path, tag: str) -> None:
    excludes = [f"--exclude=./{folder}/*" for folder in (*SLIM, "dev", "proc", "sys")]
    archive = ["tar", "-C", str(root), "--numeric-owner", *excludes, "-c", "."]
    changes = [
        f"LABEL {IMAGE_LABEL}=base",
        "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "ENV DEBIAN_FRONTEND=noninteractive",
        'CMD ["bash"]',
    ]
    flags = [part for change in changes for part in ("--change", change)]
    docker = shutil.which("docker") or "docker"
    with subprocess.Popen(archive, stdout=subprocess.PIPE) as tree:
        done = subprocess.run(
            [docker, "import", *flags, "-", tag],
            stdin=tree.stdout,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode or tree.returncode:
        raise LabError(
            found=f"`docker import` of the base image failed: {done.stderr.strip()}",
            needed="the bootstrapped tree as a local image",
            way_out="free disk space or start the engine, then run `python -m lab up` again",
        )
