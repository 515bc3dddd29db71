"""Build the CLI, its language host and the docker plugin from public Go modules."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from engine.cache import GO_SOURCES
from engine.errors import EngineError
from engine.pins import Pins
from engine.progress import Say, run

LANGUAGE_HOST_DIR = "langhost"
DOCKER_VERSION_VARIABLE = "airbyte-migration/engine/docker/bridge.Version"
CLI_VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
EXEC_SHIM = "pulumi-language-python-exec"
# Module sources 3.2 GB, build cache up to 4.5 GB, result 0.2 GB, as measured. Bytes.
DISK_NEEDED = 8 * 1024**3


def parse_go_version(text: str) -> tuple[int, int]:
    """Major and minor out of ``go version`` or of a go.mod ``go`` line; (0, 0) if none."""
    match = re.search(r"\bgo ?(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def needed_go_version(go_mod: str) -> tuple[int, int]:
    """Go version that a go.mod file asks for."""
    match = re.search(r"^go (\d+)\.(\d+)", go_mod, re.MULTILINE)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def check_prerequisites(go: str | None, go_version: str, free_bytes: int) -> None:
    """Refuse, before anything is started, what can not end well.

    Args:
        go: path of the go command, ``None`` when there is none.
        go_version: what ``go version`` printed.
        free_bytes: free space on the disk of the cache.

    Raises:
        EngineError: no Go, too old a Go, or too little disk.
    """
    needed = needed_go_version((GO_SOURCES / "go.mod").read_text(encoding="utf-8"))
    need_text = f"go {needed[0]}.{needed[1]} or newer on PATH"
    way_out = (
        f"install Go {needed[0]}.{needed[1]} or newer, or install Pulumi of the version in "
        "engine/pins.toml with its plugins, then run `python -m engine ensure` again"
    )
    if go is None:
        raise EngineError(
            found="no `go` command, and no download",
            needed=need_text,
            way_out=way_out,
        )
    if parse_go_version(go_version) < needed:
        raise EngineError(found=f"{go} is {go_version.strip()}", needed=need_text, way_out=way_out)
    if free_bytes < DISK_NEEDED:
        raise EngineError(
            found=f"{free_bytes / 1024**3:.1f} GiB free on the disk of the cache",
            needed=f"{DISK_NEEDED / 1024**3:.0f} GiB for module sources, build cache and result",
            way_out="free some, or point AIRBYTE_MIGRATION_CACHE, GOCACHE, GOMODCACHE elsewhere",
        )


def observe_and_check(cache: Path) -> None:
    """Look at this machine and call `check_prerequisites` with what is found."""
    go = shutil.which("go")
    printed = ""
    if go:
        printed = subprocess.run(
            [go, "version"], capture_output=True, text=True, check=False, env=_environment()
        ).stdout
    existing = next(p for p in (cache, *cache.parents) if p.exists())
    check_prerequisites(go, printed, shutil.disk_usage(existing).free)


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        # The checksum database is often out of reach; the committed go.sum keeps the check.
        "GOSUMDB": "off",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }


def _flags(pins: Pins, cli_version: str) -> list[str]:
    variables = {
        CLI_VERSION_VARIABLE: cli_version,
        DOCKER_VERSION_VARIABLE: pins.plugins["docker"],
    }
    sets = " ".join(f"-X {name}={value}" for name, value in variables.items())
    return ["-v", "-trimpath", "-ldflags", f"-s -w {sets}"]


def _module_dir(module: str) -> Path:
    listed = subprocess.run(
        ["go", "list", "-m", "-f", "{{.Dir}}", module],
        cwd=GO_SOURCES,
        env=_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(listed.stdout.strip())


def build(pins: Pins, target: Path, say: Say) -> None:
    """Compile all three and put them into ``target/bin`` and ``target/docker``.

    CLI and docker plugin come from one Go module with one set of flags, so that what they
    share is compiled once.
    """
    steps = (
        ("Pulumi CLI", GO_SOURCES, pins.cli.version, "bin/pulumi", pins.cli.package),
        (
            "Python language host",
            GO_SOURCES / LANGUAGE_HOST_DIR,
            pins.language_host.version,
            "bin/pulumi-language-python",
            pins.language_host.package,
        ),
        (
            "docker plugin",
            GO_SOURCES,
            pins.cli.version,
            "docker/pulumi-resource-docker",
            "./docker",
        ),
    )
    for label, folder, version, output, package in steps:
        command = ["go", "build", *_flags(pins, version), "-o", str(target / output), package]
        run(f"building {label}", command, cwd=folder, env=_environment(), say=say)
    shim = target / "bin" / EXEC_SHIM
    shutil.copyfile(_module_dir(pins.cli_sdk_module) / "python" / "cmd" / EXEC_SHIM, shim)
    shim.chmod(0o755)
