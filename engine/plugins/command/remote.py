"""`command:remote:Command`: a command on another host, over SSH."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import paramiko
from google.protobuf import struct_pb2
from paramiko.common import cMSG_CHANNEL_REQUEST

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
from engine.plugins.command.ssh import complete_connection, connected
from engine.plugins.resource import Context, Input, PluginError, Properties, Severity

CHUNK_BYTES = 65536
CANCEL_POLL_SECONDS = 0.2
NO_STATUS = -1


def demand_variable(channel: paramiko.Channel, name: str, value: str) -> None:
    """Set an environment variable, and fail when the server refuses it.

    paramiko's own method never asks for the answer, so a server without ``AcceptEnv`` would
    go unnoticed.

    Raises:
        paramiko.SSHException: refused; the channel is closed then.
    """
    request = paramiko.Message()
    request.add_byte(cMSG_CHANNEL_REQUEST)
    request.add_int(channel.remote_chanid)
    request.add_string("env")
    request.add_boolean(True)
    request.add_string(name)
    request.add_string(value)
    inner: Any = channel  # the stubs leave out what paramiko's own requests are made of
    inner._event_pending()
    inner.transport._send_user_message(request)
    inner._wait_for_event()


def _pump(receive: Callable[[int], bytes], name: str, output: Output) -> None:
    while chunk := receive(CHUNK_BYTES):
        output.write(name, chunk)


def _feed(channel: paramiko.Channel, stdin: str) -> None:
    try:
        if stdin:
            channel.sendall(stdin.encode())
        channel.shutdown_write()
    except OSError:
        return  # the command ended without reading all of it, which is its right


class RemoteCommand(CommandResource):
    """Runs in the login shell of the user on the host."""

    token = "command:remote:Command"  # noqa: S105 - a Pulumi type token
    inputs: ClassVar[Mapping[str, Input]] = {**COMMAND_INPUTS, "connection": Input(required=True)}
    outputs = frozenset({"stderr", "stdout"})

    def complete(self, name: str, olds: Properties, news: struct_pb2.Struct) -> None:
        """Fill in the connection's defaults."""
        if "connection" in news.fields:
            complete_connection(news.fields["connection"])

    def run(
        self, context: Context, command: str, properties: Properties, state: Properties
    ) -> Properties:
        """Run it; raises PluginError when the host can not be reached or the command fails."""
        with connected(context, properties.get("connection")) as transport:
            try:
                channel = transport.open_session()
            except (paramiko.SSHException, OSError) as error:
                message = f"ssh: no session: {error}"
                raise PluginError(message) from error
            _set_variables(context, channel, properties, state)
            output = Output(context, logged_streams(properties))
            status = _execute(context, channel, command, text(properties, "stdin"), output)
        if status == NO_STATUS:
            raise failed(
                status="wait: remote command exited without exit status or exit signal",
                command=command,
                output=output.everything(),
            )
        if status != 0:
            raise failed(
                status=f"Process exited with status {status}",
                command=command,
                output=output.everything(),
            )
        return output.result()


def _set_variables(
    context: Context, channel: paramiko.Channel, properties: Properties, state: Properties
) -> None:
    for name, value in environment(properties).items():
        try:
            demand_variable(channel, name, value)
        except paramiko.SSHException as error:
            context.log(
                Severity.ERROR,
                f"Unable to set '{name}'. This only works if the SSH server is configured to "
                "accept it (AcceptEnv); or put VAR=value in front of the command.",
            )
            message = f'could not set environment variable "{name}": ssh: setenv failed'
            raise PluginError(message) from error
    for name, value in previous_output(properties, state).items():
        channel.set_environment_variable(name, value)


def _execute(
    context: Context, channel: paramiko.Channel, command: str, stdin: str, output: Output
) -> int:
    try:
        channel.exec_command(command)
        threads = [
            threading.Thread(target=_pump, args=(channel.recv, "stdout", output), daemon=True),
            threading.Thread(
                target=_pump, args=(channel.recv_stderr, "stderr", output), daemon=True
            ),
            threading.Thread(target=_feed, args=(channel, stdin), daemon=True),
        ]
        for thread in threads:
            thread.start()
        while threads[0].is_alive() or threads[1].is_alive():
            threads[0].join(CANCEL_POLL_SECONDS)
            threads[1].join(CANCEL_POLL_SECONDS)
            if context.cancelled.is_set():
                channel.close()
        output.finish()
        return channel.recv_exit_status()
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise failed(status=f"ssh: {error}", command=command, output=output.everything()) from error
