"""`command:local:Command`: a command on the machine that runs Pulumi."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, ClassVar

from engine.plugins.command.common import (
    COMMAND_INPUTS,
    CommandResource,
    Output,
    environment,
    failed,
    logged_streams,
    previous_output,
    text,
)
from engine.plugins.resource import Context, Input, PluginError, Properties
from engine.plugins.wire import Asset, Plain

SHELL = ("/bin/sh", "-c")
CHUNK_BYTES = 65536
CANCEL_POLL_SECONDS = 0.2


def _strings(value: Plain) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def glob_pattern(glob: str) -> re.Pattern[str]:
    """Translate a glob: ``*`` stops at ``/``, ``**`` does not, ``?`` is one character."""
    parts = re.split(r"(\*\*|\*|\?)", glob)
    table = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(table.get(part, re.escape(part)) for part in parts))


def matching(folder: Path, globs: Sequence[str]) -> list[str]:
    """Files below ``folder`` that the rules take; a rule with ``!`` takes files out again."""
    rules = [(not glob.startswith("!"), glob_pattern(glob.removeprefix("!"))) for glob in globs]
    taken: list[str] = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        verdicts = [include for include, pattern in rules if pattern.fullmatch(name)]
        if verdicts and verdicts[-1]:
            taken.append(name)
    return taken


def _pump(stream: IO[bytes], name: str, output: Output) -> None:
    while chunk := os.read(stream.fileno(), CHUNK_BYTES):
        output.write(name, chunk)


def _feed(stream: IO[bytes], data: bytes) -> None:
    # A command may end without reading all of it; closing then fails a second time.
    with suppress(BrokenPipeError):
        stream.write(data)
    with suppress(BrokenPipeError):
        stream.close()


class LocalCommand(CommandResource):
    """Runs through ``/bin/sh -c``, or through ``interpreter``."""

    token = "command:local:Command"  # noqa: S105 - a Pulumi type token
    inputs: ClassVar[Mapping[str, Input]] = {
        **COMMAND_INPUTS,
        "archivePaths": Input(),
        "assetPaths": Input(),
        "dir": Input(),
        "interpreter": Input(),
    }
    outputs = frozenset({"archive", "assets", "stderr", "stdout"})

    def run(
        self, context: Context, command: str, properties: Properties, state: Properties
    ) -> Properties:
        """Run it in ``dir``; raises PluginError with all output when it fails."""
        output = Output(context, logged_streams(properties))
        variables = {**os.environ, **environment(properties), **previous_output(properties, state)}
        folder = Path(text(properties, "dir") or Path.cwd())
        argv = [*(_strings(properties.get("interpreter")) or SHELL), command]
        try:
            process = subprocess.Popen(
                argv,
                cwd=folder,
                env=variables,
                stdin=subprocess.PIPE if text(properties, "stdin") else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise failed(status=str(error), command=command, output="") from error
        code = _wait(context, process, output, text(properties, "stdin").encode())
        if code != 0:
            status = f"exit status {code}" if code > 0 else f"signal: {-code}"
            raise failed(status=status, command=command, output=output.everything())
        return {**output.result(), **_files(folder, properties)}


def _wait(context: Context, process: subprocess.Popen[bytes], output: Output, stdin: bytes) -> int:
    assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018
    work = [(_pump, process.stdout, "stdout"), (_pump, process.stderr, "stderr")]
    threads = [threading.Thread(target=f, args=(s, n, output), daemon=True) for f, s, n in work]
    if process.stdin is not None:
        threads.append(threading.Thread(target=_feed, args=(process.stdin, stdin), daemon=True))
    for thread in threads:
        thread.start()
    while threads[0].is_alive() or threads[1].is_alive():
        threads[0].join(CANCEL_POLL_SECONDS)
        threads[1].join(CANCEL_POLL_SECONDS)
        if context.cancelled.is_set():
            process.kill()
    code = process.wait()
    process.stdout.close()
    process.stderr.close()
    output.finish()
    return code


def _files(folder: Path, properties: Properties) -> Properties:
    found: Properties = {}
    if "assetPaths" in properties:
        names = matching(folder, _strings(properties["assetPaths"]))
        found["assets"] = {name: Asset(hash="", path=str(folder / name)) for name in names}
    if "archivePaths" in properties:
        message = "archivePaths is not imitated by the local stand-in; use assetPaths"
        raise PluginError(message)
    return found
