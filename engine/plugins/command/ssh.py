"""SSH connections as the official plugin makes them: limits, retries, host keys, proxies.

Facts: option meanings and defaults from ``pulumi_command.remote.ConnectionArgs``; retries
(limit counts errors after which one more try is made, growing pauses) from pulumi-command.
"""

from __future__ import annotations

import base64
import io
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import paramiko
from google.protobuf import struct_pb2

from engine.plugins.resource import Context, PluginError, Properties
from engine.plugins.wire import Plain, unsealed, wire

DEFAULTS: Properties = {
    "user": "root",
    "port": 22.0,
    "dialErrorLimit": 10.0,
    "perDialTimeout": 15.0,
}
UNLIMITED = -1
FIRST_PAUSE_SECONDS = 0.1
PAUSE_GROWTH = 1.5
LONGEST_PAUSE_SECONDS = 5.0
KEEP_ALIVE_SECONDS = 15
KEY_TYPES: tuple[type[paramiko.PKey], ...] = (
    paramiko.Ed25519Key,
    paramiko.ECDSAKey,
    paramiko.RSAKey,
)
# An "ssh-rsa" key signs with SHA-2 today; paramiko 5 no longer speaks the SHA-1 form.
RSA_ALGORITHMS = ("rsa-sha2-512", "rsa-sha2-256")


def complete_connection(value: struct_pb2.Value) -> None:
    """Write the defaults that the official plugin writes into a connection, in place."""
    fields = unsealed(value).struct_value.fields
    if not fields:
        return
    for key, default in DEFAULTS.items():
        if key not in fields:
            fields[key].CopyFrom(wire(default))
    if "proxy" in fields:
        complete_connection(fields["proxy"])


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One end of a connection, read from a ``connection`` property. Timeouts in seconds."""

    host: str
    port: int
    user: str
    password: str
    private_key: str
    private_key_password: str
    agent_socket: str
    host_key: str
    error_limit: int
    timeout: float | None
    proxy: Endpoint | None

    @classmethod
    def read(cls, value: Plain) -> Endpoint:
        """Read a connection; raises PluginError when it has no host."""
        given = value if isinstance(value, dict) else {}
        options: Properties = {**DEFAULTS, **given}
        if not options.get("host"):
            message = "connection has no host"
            raise PluginError(message)
        return cls(
            host=_text(options, "host"),
            port=_number(options, "port"),
            user=_text(options, "user"),
            password=_text(options, "password"),
            private_key=_text(options, "privateKey"),
            private_key_password=_text(options, "privateKeyPassword"),
            agent_socket=_text(options, "agentSocketPath") or os.environ.get("SSH_AUTH_SOCK", ""),
            host_key=_text(options, "hostKey"),
            error_limit=_number(options, "dialErrorLimit"),
            timeout=_number(options, "perDialTimeout") or None,
            proxy=cls.read(options["proxy"]) if "proxy" in options else None,
        )


def _text(options: Properties, key: str) -> str:
    value = options.get(key)
    return value if isinstance(value, str) else ""


def _number(options: Properties, key: str) -> int:
    value = options.get(key)
    return int(value) if isinstance(value, int | float | str) else 0


def parse_private_key(text: str, password: str) -> paramiko.PKey:
    """Read a private key of any usual type; raises PluginError without quoting the key."""
    for key_type in KEY_TYPES:
        try:
            return key_type.from_private_key(io.StringIO(text), password or None)
        except (paramiko.SSHException, ValueError):
            continue
    message = "connection.privateKey is no private key of a known type, or its password is wrong"
    raise PluginError(message)


def parse_host_key(line: str) -> tuple[str, bytes]:
    """Type and binary form of a host key, given as ``type base64 [comment]``."""
    try:
        kind, encoded = line.split()[:2]
        return kind, base64.b64decode(encoded, validate=True)
    except ValueError as error:
        message = f"connection.hostKey is not of the form 'type base64': {error}"
        raise PluginError(message) from error


def _accept_only(transport: paramiko.Transport, kind: str) -> None:
    try:
        transport.get_security_options().key_types = (
            RSA_ALGORITHMS if kind == "ssh-rsa" else (kind,)
        )
    except ValueError as error:
        message = f"connection.hostKey has the unknown type {kind}"
        raise PluginError(message) from error


def _check_host_key(transport: paramiko.Transport, expected: bytes) -> None:
    if transport.get_remote_server_key().asbytes() != expected:
        message = "ssh: handshake failed: ssh: host key mismatch"
        raise paramiko.SSHException(message)


def _ways_in(
    transport: paramiko.Transport, endpoint: Endpoint
) -> Iterator[Callable[[], list[str]]]:
    user = endpoint.user
    if endpoint.private_key:
        key = parse_private_key(endpoint.private_key, endpoint.private_key_password)
        yield lambda: transport.auth_publickey(user, key)
    if endpoint.password:
        yield lambda: transport.auth_password(user, endpoint.password)
    if endpoint.agent_socket:
        for agent_key in paramiko.Agent().get_keys():
            yield lambda agent_key=agent_key: transport.auth_publickey(user, agent_key)  # type: ignore[misc]


def _authenticate(transport: paramiko.Transport, endpoint: Endpoint) -> None:
    for way in _ways_in(transport, endpoint):
        try:
            if not way():
                return
        except paramiko.AuthenticationException:
            continue
    message = f"ssh: unable to authenticate as {endpoint.user}"
    raise paramiko.AuthenticationException(message)


def _handshake(sock: socket.socket | paramiko.Channel, endpoint: Endpoint) -> paramiko.Transport:
    transport = paramiko.Transport(sock)
    try:
        if endpoint.host_key:
            kind, expected = parse_host_key(endpoint.host_key)
            _accept_only(transport, kind)
        if endpoint.timeout:
            transport.banner_timeout = endpoint.timeout
            transport.handshake_timeout = endpoint.timeout
            transport.auth_timeout = endpoint.timeout
        transport.start_client(timeout=endpoint.timeout)
        if endpoint.host_key:
            _check_host_key(transport, expected)
        _authenticate(transport, endpoint)
        transport.set_keepalive(KEEP_ALIVE_SECONDS)
    except BaseException:
        transport.close()
        sock.close()  # a transport that never got going leaves its socket open
        raise
    return transport


def _retrying(
    context: Context, what: str, endpoint: Endpoint, dial: Callable[[], paramiko.Transport]
) -> paramiko.Transport:
    pause, errors = FIRST_PAUSE_SECONDS, 0
    limit = "inf" if endpoint.error_limit == UNLIMITED else str(endpoint.error_limit)
    while True:
        try:
            return dial()
        except (OSError, paramiko.SSHException, EOFError) as error:
            errors += 1
            if endpoint.error_limit > UNLIMITED and errors > endpoint.error_limit:
                message = f"after {errors - 1} failed attempts: {error}"
                raise PluginError(message) from error
        context.status(f"{what} {errors}/{limit} failed: retrying")
        if context.cancelled.wait(pause):
            message = f"{what} {endpoint.host} cancelled"
            raise PluginError(message)
        pause = min(pause * PAUSE_GROWTH, LONGEST_PAUSE_SECONDS)


def _dial_direct(endpoint: Endpoint) -> paramiko.Transport:
    sock = socket.create_connection((endpoint.host, endpoint.port), timeout=endpoint.timeout)
    return _handshake(sock, endpoint)


@contextmanager
def connected(context: Context, connection: Plain) -> Iterator[paramiko.Transport]:
    """Connect as ``connection`` says, through its proxy if it has one; closes at the end.

    Raises:
        PluginError: the limit of failed attempts is passed, or the connection is malformed.
    """
    endpoint = Endpoint.read(connection)
    if endpoint.host_key:
        parse_host_key(endpoint.host_key)
    if endpoint.proxy is None:
        transport = _retrying(context, "Dial", endpoint, lambda: _dial_direct(endpoint))
        with transport:
            yield transport
        return
    proxy = endpoint.proxy
    with _retrying(context, "Dial proxy", proxy, lambda: _dial_direct(proxy)) as bridge:

        def through() -> paramiko.Transport:
            target = (endpoint.host, endpoint.port)
            channel = bridge.open_channel("direct-tcpip", target, ("127.0.0.1", 0))
            return _handshake(channel, endpoint)

        with _retrying(context, "Dial from proxy", endpoint, through) as transport:
            yield transport
