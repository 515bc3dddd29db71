"""`command:remote:CopyToRemote`: a file, a text or a folder to another host, over SFTP."""

from __future__ import annotations

import posixpath
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import paramiko
from google.protobuf import struct_pb2

from engine.plugins.command.common import new_id, text
from engine.plugins.command.ssh import complete_connection, connected
from engine.plugins.resource import Context, Input, PluginError, Properties, Resource
from engine.plugins.wire import Archive, Asset, Plain, Unknown


def _mode(sftp: paramiko.SFTPClient, path: str) -> int | None:
    try:
        return sftp.stat(path).st_mode
    except FileNotFoundError:
        return None


def _is_folder(mode: int | None) -> bool:
    return mode is not None and stat.S_ISDIR(mode)


def _make_folder(sftp: paramiko.SFTPClient, path: str) -> None:
    mode = _mode(sftp, path)
    if _is_folder(mode):
        return
    if mode is not None:
        message = f"remote path {path} exists but is not a directory"
        raise PluginError(message)
    parent = posixpath.dirname(path.rstrip("/"))
    if parent not in {"", "/"}:
        _make_folder(sftp, parent)
    sftp.mkdir(path)


def _write(sftp: paramiko.SFTPClient, path: str, content: bytes) -> None:
    _make_folder_above(sftp, path)
    with sftp.open(path, "wb") as remote:
        remote.set_pipelined(True)
        remote.write(content)


def _make_folder_above(sftp: paramiko.SFTPClient, path: str) -> None:
    parent = posixpath.dirname(path)
    if parent not in {"", "/"}:
        _make_folder(sftp, parent)


def copy_text(sftp: paramiko.SFTPClient, content: str, target: str) -> None:
    """Write a text to ``target``, which must be a file's path."""
    if _is_folder(_mode(sftp, target)):
        message = (
            f"remote path {target} is a directory; "
            "when using a text asset, remotePath must be a file path"
        )
        raise PluginError(message)
    _write(sftp, target, content.encode())


def copy_path(sftp: paramiko.SFTPClient, source: str, target: str) -> None:
    """Copy a file or a folder, with the official plugin's rules for the target.

    A file goes into a target that is a folder, else it becomes the target. A folder goes
    into the target under its own name; with a ``/`` at the end, its content does.
    """
    local = Path(source)
    if not local.is_dir():
        folder = _is_folder(_mode(sftp, target))
        path = posixpath.join(target, local.name) if folder else target
        _write(sftp, path, local.read_bytes())
        return
    root = target if source.endswith("/") else posixpath.join(target, local.name)
    _make_folder(sftp, root)
    for child in sorted(local.rglob("*")):
        remote = posixpath.join(root, child.relative_to(local).as_posix())
        if child.is_dir():
            _make_folder(sftp, remote)
        else:
            _write(sftp, remote, child.read_bytes())


def _fault(source: Plain) -> str:
    if isinstance(source, Asset):
        if not source.path and source.uri:
            return "asset must be a path-based file asset or a text asset"
        return ""
    if isinstance(source, Archive):
        return "" if source.path else "archive must be a path to a file or directory"
    return "" if isinstance(source, Unknown) else "either asset or archive must be set"


class CopyToRemote(Resource):
    """Copies when content or target changed; removing the resource leaves the files."""

    token = "command:remote:CopyToRemote"  # noqa: S105 - a Pulumi type token
    inputs: ClassVar[Mapping[str, Input]] = {
        "connection": Input(required=True),
        "remotePath": Input(required=True),
        "source": Input(required=True),
        "triggers": Input(replaces=True),
    }

    def complete(self, name: str, olds: Properties, news: struct_pb2.Struct) -> None:
        """Fill in the connection's defaults."""
        if "connection" in news.fields:
            complete_connection(news.fields["connection"])

    def refuse(self, news: Properties) -> list[tuple[str, str]]:
        """Refuse sources that can not be copied as they are."""
        fault = _fault(news["source"]) if "source" in news else ""
        return [*super().refuse(news), *([("source", fault)] if fault else [])]

    def create(self, context: Context, name: str, news: Properties) -> tuple[str, Properties]:
        """Copy."""
        self._copy(context, news)
        return new_id(""), {}

    def update(
        self, context: Context, resource_id: str, olds: Properties, news: Properties
    ) -> Properties:
        """Copy when the content or the target changed; a new connection alone copies nothing."""
        same_target = olds.get("remotePath") == news.get("remotePath")
        if not same_target or _content(olds) != _content(news):
            self._copy(context, news)
        return {}

    def delete(self, context: Context, resource_id: str, olds: Properties) -> None:
        """Leave what was copied."""

    def _copy(self, context: Context, news: Properties) -> None:
        source, target = news["source"], text(news, "remotePath")
        with connected(context, news["connection"]) as transport:
            try:
                sftp = paramiko.SFTPClient.from_transport(transport)
                if sftp is None:
                    message = "the host offers no SFTP"
                    raise PluginError(message)
                if isinstance(source, Asset) and not source.path:
                    copy_text(sftp, source.text, target)
                elif isinstance(source, Asset | Archive):
                    copy_path(sftp, source.path, target)
            except (OSError, paramiko.SSHException, EOFError) as error:
                message = f"failed to copy to remote path {target}: {error}"
                raise PluginError(message) from error


def _content(properties: Properties) -> Plain:
    source = properties.get("source")
    if isinstance(source, Asset | Archive) and source.hash:
        return source.hash
    return source
