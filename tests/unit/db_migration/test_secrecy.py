"""A secret that was read once is in no log, no error and no journal afterwards."""

from __future__ import annotations

import io
import json
import sys
import threading
from pathlib import Path

import psycopg
import pytest
import structlog

from db_migration import config_access, log, secrecy
from db_migration.errors import BlockedError
from db_migration.reporting import error_text

PLANTED = "planted-p@ss 'w\\ord"


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrecy, "_known", set())


@pytest.fixture
def login(tmp_path: Path) -> config_access.Login:
    (tmp_path / "password").write_text(f"{PLANTED}\n")
    found = config_access.Login(user="airbyte_migration", password_file=tmp_path / "password")
    assert found.password() == PLANTED
    return found


@pytest.mark.parametrize(
    "text",
    [
        PLANTED,
        f"password={PLANTED} host=x",
        "host=x password='planted-p@ss \\'w\\\\ord' port=1",
        "postgresql://user:planted-p%40ss%20%27w%5Cord@host/db",
        "CREATE SUBSCRIPTION x CONNECTION 'password=planted-p@ss ''w\\ord'",
    ],
)
@pytest.mark.usefixtures("login")
def test_masked_in_every_spelling(text: str) -> None:
    assert "planted" in text
    assert "planted" not in secrecy.mask(text)
    assert secrecy.MASK in secrecy.mask(text)


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("docker", "role `docker` does not let us in"),  # compose's own: equal to the user's name
        ("abc", "abc"),
        ("", "anything"),
        ("airbyte", "airbyte_mirror"),
    ],
)
def test_words_that_only_look_alike_stay(secret: str, text: str) -> None:
    secrecy.learn(secret, public="docker")
    assert secrecy.mask(text) == text


def test_a_rotated_secret_counts_beside_the_old(login: config_access.Login) -> None:
    login.password_file.write_text("planted-second")
    login.password()
    assert secrecy.mask(f"{PLANTED} planted-second") == "*** ***"


@pytest.mark.parametrize("people", [True, False])
@pytest.mark.usefixtures("login")
def test_no_line_of_the_log_holds_it(people: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    log.configure(people=people)
    logger = structlog.get_logger().bind(feed="a")
    logger.info("event", why=f"said {PLANTED}", nested={"deep": [PLANTED]}, error=OSError(PLANTED))

    def fails() -> None:
        raise ValueError(PLANTED)

    try:
        fails()
    except ValueError:
        logger.exception("failed")
    thread = threading.Thread(target=fails, name="agent")
    thread.start()
    thread.join()
    lines = written.getvalue()
    assert "planted" not in lines
    assert lines.count("***") >= 4
    assert "a thread has ended" in lines
    if not people:
        assert all(json.loads(line)["level"] for line in lines.splitlines())


@pytest.mark.usefixtures("login")
def test_no_error_holds_it() -> None:
    ours = BlockedError(found=f"a {PLANTED}", needed="b", way_out=PLANTED)
    for text in (error_text.short(ours), *error_text.error_dict(ours).values()):
        assert "planted" not in text
    theirs = psycopg.OperationalError(f"connection with {PLANTED} failed")
    for text in (error_text.short(theirs), *error_text.error_dict(theirs).values()):
        assert "planted" not in text
