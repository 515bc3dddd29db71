"""Searches everything a deployment leaves behind for planted secrets, in every form they may take.

Matching is pure; collecting runs the commands it is given. A place that needs a secret is named in
an allow-list with its reason, and an entry that allows nothing is reported too, so that the list
can not rot. Hits name the secret and the place, never the value.
"""

import base64
import gzip
import io
import json
import re
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import quote, quote_plus

SHORTEST = 8
# One line per process: pid, then the NUL-separated file in hex; `od` is on every Debian host.
_PROC = (
    "for p in /proc/[0-9]*; do "
    'printf "%s %s " "${{p#/proc/}}" "$(tr "\\0 " "__" <$p/comm 2>/dev/null)"; '
    'od -An -v -tx1 "$p/{file}" 2>/dev/null | tr -d " \\n"; echo; done'
)


# Packs what there is of the folders given; 1 means that a file (a log) grew meanwhile.
_PACK = (
    'for f do shift; [ ! -e "$f" ] || set -- "$@" "$f"; done; '
    '[ $# = 0 ] || tar -cf - "$@" 2>/dev/null || [ $? = 1 ]'
)
HOST_FOLDERS = (
    "/var/lib/airbyte-migration",
    "/usr/local/lib/airbyte-migration",
    "/etc",
    "/root",
    "/tmp",
    "/var/log",
)
"""Where the program, its scripts and an operator's commands write on a host."""
# Tables of the database, and two of the server's that keep or show what commands were given.
_TABLES = (
    "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
    " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    " UNION ALL VALUES ('pg_catalog.pg_subscription'), ('pg_catalog.pg_stat_activity')"
)


@dataclass(frozen=True)
class Place:
    """Somewhere a secret might be: `kind:where`, and what is there."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Hit:
    """A secret found where it must not be."""

    secret: str
    form: str
    place: str


@dataclass(frozen=True)
class Allowed:
    """A place that needs secrets: a shell pattern of place names, which ones, and why."""

    place: str
    reason: str
    secrets: frozenset[str] = frozenset()
    """Names of the secrets; empty means any."""

    def covers(self, hit: Hit) -> bool:
        return fnmatchcase(hit.place, self.place) and (
            not self.secrets or hit.secret in self.secrets
        )


@dataclass(frozen=True)
class Found:
    """What a search brought."""

    hits: tuple[Hit, ...]
    allowed: tuple[Hit, ...]
    unused: tuple[Allowed, ...]
    searched: int

    def __str__(self) -> str:
        lines = [f"{h.secret} ({h.form}) in {h.place}" for h in self.hits]
        lines += [f"allowed for nothing: {a.place} ({a.reason})" for a in self.unused]
        return "\n".join([f"{self.searched} places searched", *lines])


def forms(value: str) -> dict[str, frozenset[bytes]]:
    """Give the byte strings that betray a value, by the name of the form."""
    if len(value) < SHORTEST:
        message = f"a planted secret needs {SHORTEST} characters or more, to be found by no chance"
        raise ValueError(message)
    clear = value.encode()
    escaped = json.dumps(value)[1:-1]
    found = {
        "clear": {clear},
        "base64": set(_base64(clear)),
        "url-quoted": {quote(value, safe="").encode(), quote_plus(value).encode()},
        "json-escaped": {escaped.encode(), json.dumps(escaped)[1:-1].encode()},
        "hex": {clear.hex().encode(), clear.hex().upper().encode()},
        "shell-quoted": {value.replace("'", "'\\''").encode()},
    }
    # A form that leaves the value as it is says nothing that `clear` does not.
    return {k: frozenset(v - {clear} if k != "clear" else v) for k, v in found.items()}


def search(
    places: Iterable[Place], planted: Mapping[str, str], allowed: Iterable[Allowed] = ()
) -> Found:
    """Look for every planted secret in every place."""
    needles = [
        (name, form, needle)
        for name, value in planted.items()
        for form, candidates in forms(value).items()
        for needle in candidates
    ]
    rules, hits, searched = tuple(allowed), [], 0
    for place in places:
        searched += 1
        found = {(s, f) for s, f, needle in needles if needle in place.content}
        hits += [Hit(s, f, place.name) for s, f in sorted(found)]
    excused = [h for h in hits if any(rule.covers(h) for rule in rules)]
    return Found(
        hits=tuple(h for h in hits if h not in excused),
        allowed=tuple(excused),
        unused=tuple(r for r in rules if not any(r.covers(h) for h in hits)),
        searched=searched,
    )


STARTING = re.compile(r"tmp/runc-process\d+")
"""Where Docker keeps the environment of a process that it is about to start in a container: a host
that is killed in that moment leaves the file.
"""


@dataclass(frozen=True)
class Host:
    """A machine to look at: `run` is the command prefix, empty for this machine."""

    name: str
    run: tuple[str, ...] = ()

    def ask(self, *argv: str) -> bytes:
        done = subprocess.run([*self.run, *argv], capture_output=True, check=False)
        assert done.returncode == 0, f"{self.name}: {argv[:3]}: {done.stderr.decode()[-500:]}"
        return done.stdout

    def ask_both(self, *argv: str) -> bytes:
        done = subprocess.run([*self.run, *argv], capture_output=True, check=False)
        return done.stdout + done.stderr


def files(root: Path, pattern: str = "**/*") -> Iterator[Place]:
    """Every file below a folder: state backends, logs, caches."""
    for path in sorted(root.glob(pattern)):
        if path.is_file():
            content = path.read_bytes()
            if path.suffix == ".gz":
                content = gzip.decompress(content)
            yield Place(f"file:{path}", content)


def stacks(project: Path, environment: Mapping[str, str], names: Iterable[str]) -> Iterator[Place]:
    """What pulumi tells of a stack to anybody: state, outputs, settings, history."""
    for name in names:
        for kind, argv in (
            ("export", ["stack", "export", "--stack", name]),
            ("outputs", ["stack", "output", "--json", "--stack", name]),
            ("settings", ["config", "--json", "--stack", name]),
            ("history", ["stack", "history", "--json", "--full-dates", "--stack", name]),
        ):
            done = subprocess.run(
                ["pulumi", *argv, "--non-interactive"],
                cwd=project,
                env=dict(environment),
                capture_output=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr.decode()[-500:]
            yield Place(f"{kind}:{name}", done.stdout + done.stderr)


def containers(host: Host) -> Iterator[Place]:
    """`docker inspect` and the logs of every container, and what images have baked in."""
    listed = host.ask("docker", "ps", "-aq", "--no-trunc").decode().split()
    for ident in listed:
        inspected = host.ask("docker", "inspect", ident)
        name = json.loads(inspected)[0]["Name"].strip("/")
        yield Place(f"inspect:{host.name}/{name}", inspected)
        yield Place(f"log:{host.name}/{name}", host.ask_both("docker", "logs", ident))
    for image in sorted(set(host.ask("docker", "images", "-q", "--no-trunc").decode().split())):
        baked = host.ask("docker", "image", "inspect", image)
        baked += host.ask("docker", "history", "--no-trunc", image)
        yield Place(f"image:{host.name}/{image}", baked)


def processes(host: Host) -> Iterator[Place]:
    """Command line and environment of every process, those in the host's containers included."""
    for kind in ("cmdline", "environ"):
        for line in host.ask("sh", "-c", _PROC.format(file=kind)).decode().splitlines():
            pid, comm, content = re.fullmatch(r"(\d+) (\S*) ?([0-9a-f]*)", line).groups()  # type: ignore[union-attr]
            if content:
                yield Place(f"{kind}:{host.name}/{comm}/{pid}", bytes.fromhex(content))


def host_files(host: Host, folders: Iterable[str] = HOST_FOLDERS) -> Iterator[Place]:
    """Every file in these folders of a host, its mode in the place's name: `hostfile:h:0600:/f`."""
    packed = host.ask("sh", "-c", _PACK, "sh", *folders)
    if not packed:
        return
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            if content is not None:
                name = f"hostfile:{host.name}:{member.mode:04o}:/{member.name}"
                if STARTING.fullmatch(member.name):
                    name = f"environ:{host.name}/{member.name}"
                yield Place(name, content.read())


def tables(host: Host, container: str, databases: Iterable[str], user: str) -> Iterator[Place]:
    """Every table of these databases in a container with a server: journal, epochs, catalogs."""
    for database in databases:
        psql = ("docker", "exec", container, "psql", "-U", user, "-d", database, "-Atc")
        for table in host.ask(*psql, _TABLES).decode().split("\n"):
            if table:
                content = host.ask(*psql, f"COPY (SELECT * FROM {table}) TO STDOUT")
                yield Place(f"table:{host.name}/{database}/{table}", content)


def _base64(clear: bytes) -> Iterator[bytes]:
    # A value in the middle of a longer text falls on one of three alignments; what its
    # neighbours influence is cut off at both ends.
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + clear)
        core = encoded[-(-before * 8 // 6) : (before + len(clear)) * 8 // 6]
        yield core
        yield core.replace(b"+", b"-").replace(b"/", b"_")
