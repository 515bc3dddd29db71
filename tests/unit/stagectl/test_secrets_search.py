"""The search finds what is planted: every form, every kind of place."""

import base64
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.secrets_search import (
    Allowed,
    Hit,
    Host,
    Place,
    containers,
    files,
    forms,
    host_files,
    processes,
    search,
    stacks,
    tables,
)

SECRET = "p1anted/s3cret+\"ö'&="
PLANTED = {"password": SECRET}
HERE = Host("here")


def found_in(*places: Place) -> set[tuple[str, str]]:
    return {(h.form, h.place) for h in search(places, PLANTED).hits}


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("clear", f"x {SECRET} y"),
        ("base64", base64.b64encode(SECRET.encode()).decode()),
        ("base64", base64.b64encode(f"airbyte:{SECRET}".encode()).decode()),
        ("base64", base64.b64encode(f"ab:{SECRET}:more".encode()).decode()),
        ("base64", base64.urlsafe_b64encode(f"{SECRET}x".encode()).decode()),
        ("url-quoted", f"postgresql://u:{quote(SECRET, safe='')}@h/d"),
        ("json-escaped", json.dumps({"password": SECRET})),
        ("json-escaped", json.dumps({"state": json.dumps({"password": SECRET})})),
        ("hex", SECRET.encode().hex()),
        ("shell-quoted", "echo '" + SECRET.replace("'", "'\\''") + "'"),
    ],
)
def test_every_form_is_found(form: str, text: str) -> None:
    assert (form, "file:a") in found_in(Place("file:a", text.encode()), Place("file:b", b"none"))


@given(before=st.binary(max_size=8), after=st.binary(max_size=8))
def test_base64_is_found_at_every_alignment(before: bytes, after: bytes) -> None:
    text = base64.b64encode(before + SECRET.encode() + after)
    assert search([Place("p", text)], PLANTED).hits == (Hit("password", "base64", "p"),)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="8 characters"):
        forms("short")


def test_the_report_never_shows_the_value() -> None:
    found = search([Place("log:x", SECRET.encode())], PLANTED)
    assert str(found) == "1 places searched\npassword (clear) in log:x"
    assert SECRET not in repr(found)


def test_allowed_places_are_excused_and_needless_permissions_reported() -> None:
    rules = [
        Allowed("inspect:prod/airbyte-*", "compose env of prod's own services"),
        Allowed("log:*", "nothing is there"),
        Allowed("inspect:prod/airbyte-*", "another secret", frozenset({"other"})),
    ]
    places = [
        Place("inspect:prod/airbyte-server", SECRET.encode()),
        Place("inspect:core-worker-01/db-migration", SECRET.encode()),
    ]
    found = search(places, PLANTED, rules)
    assert [h.place for h in found.hits] == ["inspect:core-worker-01/db-migration"]
    assert [h.place for h in found.allowed] == ["inspect:prod/airbyte-server"]
    assert list(found.unused) == rules[1:]


def test_files_are_read_packed_or_not(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "state.json").write_text(json.dumps(SECRET))
    (tmp_path / "state.json.gz").write_bytes(gzip.compress(SECRET.encode()))
    (tmp_path / "binary").write_bytes(b"\xff\0" + SECRET.encode() + b"\0")
    names = {place.rsplit("/", 1)[-1] for _, place in found_in(*files(tmp_path))}
    assert names == {"state.json", "state.json.gz", "binary"}


def test_processes_are_read() -> None:
    waiting = "import sys; sys.stdin.read()"
    told = subprocess.Popen([sys.executable, "-c", waiting, SECRET], stdin=subprocess.PIPE)
    given_ = subprocess.Popen(
        [sys.executable, "-c", waiting], stdin=subprocess.PIPE, env={**os.environ, "PW": SECRET}
    )
    try:
        hits = search(processes(HERE), PLANTED).hits
    finally:
        told.communicate()
        given_.communicate()
    ends = {(h.place.split(":")[0], int(h.place.rsplit("/", 1)[-1])) for h in hits}
    assert ends == {("cmdline", told.pid), ("environ", given_.pid)}


def test_files_of_a_host_are_read_with_their_modes(tmp_path: Path) -> None:
    state = tmp_path / "airbyte-migration"
    for path, mode in (("db-migration/secrets/migration", 0o600), ("install.log", 0o644)):
        (state / path).parent.mkdir(parents=True, exist_ok=True)
        (state / path).write_text(SECRET)
        (state / path).chmod(mode)
    (state / "link").symlink_to(state / "install.log")
    folders = [str(state), str(tmp_path / "there is none")]
    allowed = [Allowed("hostfile:*:0600:*/db-migration/secrets/*", "read by the script alone")]
    found = search(host_files(HERE, folders), PLANTED, allowed)
    assert [h.place for h in found.hits] == [f"hostfile:here:0644:{state}/install.log"]
    assert [h.place for h in found.allowed] == [
        f"hostfile:here:0600:{state}/db-migration/secrets/migration"
    ]
    (state / "db-migration/secrets/migration").chmod(0o640)
    assert len(search(host_files(HERE, folders), PLANTED, allowed).hits) == 2
    assert list(host_files(HERE, folders[1:])) == []


def test_what_docker_is_about_to_start_counts_as_an_environment() -> None:
    """Where a process may have the secret, its environment may lie when its host is killed."""
    place = Path(f"/tmp/runc-process{os.getpid()}")
    place.write_text(SECRET)
    try:
        (hit,) = search(host_files(HERE, [str(place)]), PLANTED).hits
    finally:
        place.unlink()
    assert hit.place == f"environ:here{place}"


def test_tables_and_catalogs_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text(SECRET)
    fake(
        tmp_path / "bin",
        "docker",
        '[ "$1 $2 $3 $4 $5 $6" = "exec db psql -U admin -d" ] || exit 9\n'
        'case "$7/${@: -1}" in */*pg_tables*) echo migration.journal; '
        "echo pg_catalog.pg_subscription;;\n"
        f"control/*pg_subscription*) cat {tmp_path}/secret;; */COPY*) echo none;; *) exit 8;; esac",
        monkeypatch,
    )
    places = list(tables(HERE, "db", ["control", "airbyte"], "admin"))
    assert [p.name for p in places] == [
        f"table:here/{database}/{table}"
        for database in ("control", "airbyte")
        for table in ("migration.journal", "pg_catalog.pg_subscription")
    ]
    assert found_in(*places) == {("clear", "table:here/control/pg_catalog.pg_subscription")}


def fake(folder: Path, name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/bash\n{text}\n")
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_containers_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inspected = json.dumps([{"Name": "/db", "Config": {"Env": [f"PW={SECRET}"]}}])
    (tmp_path / "inspected").write_text(inspected)
    (tmp_path / "secret").write_text(SECRET)
    fake(
        tmp_path / "bin",
        "docker",
        f'case "$1 $2" in "ps -aq") echo c1;; "images -q") echo i1; echo i1;;\n'
        f'"inspect c1") cat {tmp_path}/inspected;; "logs c1") cat {tmp_path}/secret >&2;;\n'
        f'"image inspect") echo "[]";; "history --no-trunc") cat {tmp_path}/secret;;\n'
        "*) exit 9;; esac",
        monkeypatch,
    )
    assert {place for _, place in found_in(*containers(HERE))} == {
        "inspect:here/db",
        "log:here/db",
        "image:here/i1",
    }
    first = next(iter(containers(Host("there", ("env", "A=b")))))
    assert first.name == "inspect:there/db"


def test_a_host_that_fails_is_no_empty_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path / "bin", "docker", "echo 'no daemon' >&2; exit 1", monkeypatch)
    with pytest.raises(AssertionError, match="no daemon"):
        list(containers(HERE))


def test_stacks_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text(SECRET)
    text = f'[ "$1 $2" = "stack output" ] && cat {tmp_path}/secret; exit 0'
    fake(tmp_path / "bin", "pulumi", text, monkeypatch)
    assert found_in(*stacks(tmp_path, os.environ, ["v0", "v1"])) == {
        ("clear", "outputs:v0"),
        ("clear", "outputs:v1"),
    }
