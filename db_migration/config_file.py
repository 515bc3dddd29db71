"""The configuration file, read and checked with every file that it names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from db_migration.config import Config
from db_migration.config_access import HostControlConfig
from db_migration.errors import ConfigError

DEFAULT_PATH = Path("/etc/db-migration/config.json")


def load(path: Path) -> Config:
    """Read and check the file; raise ConfigError with every problem in it."""
    text, raw = _read(path)
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(str(path), [_problem(item) for item in error.errors()]) from None
    problems = _unreadable(config)
    if problems:
        raise ConfigError(str(path), problems)
    config.remember(path, text)
    return config


class _TwiceError(Exception):
    """A key stands twice in one object."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that stands twice: the last would count, and nobody would say so."""
    found = dict(pairs)
    for key, _ in pairs if len(found) < len(pairs) else ():
        if [name for name, _ in pairs].count(key) > 1:
            raise _TwiceError(json.dumps(key))
    return found


def _read(path: Path) -> tuple[str, Any]:
    """Return the file's text and what it says as JSON."""
    try:
        text = path.read_text(encoding="utf-8")
        raw = json.loads(text, object_pairs_hook=_once)
        json.dumps(raw, ensure_ascii=False).encode()
    except OSError as error:
        raise ConfigError(str(path), [f"file must be readable: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigError(str(path), ["file must be UTF-8"]) from None
    except json.JSONDecodeError as error:
        raise ConfigError(
            str(path), [f"file must be JSON: {error.msg}, line {error.lineno}"]
        ) from None
    except UnicodeEncodeError:
        raise ConfigError(
            str(path), ["file must be Unicode: half a character is escaped"]
        ) from None
    except RecursionError:
        raise ConfigError(str(path), ["file must be JSON that is not nested so deeply"]) from None
    except _TwiceError as error:
        raise ConfigError(str(path), [f"{error} must stand there once"]) from None
    except ValueError:
        raise ConfigError(str(path), ["file must be JSON without numbers that long"]) from None
    return text, raw


def _problem(item: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    """Say which key is wrong and how, without the value found (it may be a secret put in the
    wrong place).
    """
    key = ".".join(str(part) for part in item["loc"]) or "(whole file)"
    return f"`{key}`: {item['msg']}"


def _unreadable(config: Config) -> list[str]:
    """Name every file that the configuration points to and that can not be read."""
    return [
        f"`{key}`: `{path}` must be {lacking}"
        for key, path in _files(config)
        if path is not None and (lacking := _lacking(path, key))
    ]


def _lacking(path: Path, key: str) -> str | None:
    """Say what a file must be and is not; whose permissions forbid it is said when it is used."""
    if not path.is_file():
        return "a readable file"
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return "UTF-8"
    except OSError:
        return None
    secret = not key.endswith("known_hosts_file")
    return "a file that is not empty" if secret and not text.rstrip("\n") else None


def _files(config: Config) -> Iterator[tuple[str, Path | None]]:
    """Yield every file that the configuration names, with its key."""
    yield "control.password_file", config.control.password_file
    for number, feed in enumerate(config.feeds):
        at = f"feeds.{number}"
        yield f"{at}.source.owner.password_file", feed.source.owner.password_file
        yield f"{at}.source.reader.password_file", feed.source.reader.password_file
        yield f"{at}.target.password_file", feed.target.password_file
        yield from _host_files(f"{at}.source.host_control", feed.source.host_control)
        if (working := feed.working_database) is not None:
            control = working.reader_host_control
            yield from _host_files(f"{at}.working_database.reader_host_control", control)
    for number, server in enumerate(config.servers):
        yield f"servers.{number}.password_file", server.password_file
    for number, instance in enumerate(config.instances):
        yield f"instances.{number}.client_secret_file", instance.client_secret_file
        yield from _host_files(f"instances.{number}.host_control", instance.host_control)


def _host_files(at: str, host: HostControlConfig | None) -> Iterator[tuple[str, Path]]:
    if host is not None:
        yield f"{at}.key_file", host.key_file
        yield f"{at}.known_hosts_file", host.known_hosts_file
