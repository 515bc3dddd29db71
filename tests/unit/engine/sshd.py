"""An SSH server inside the test process: real key exchange, real shell, real SFTP."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import paramiko
from paramiko.sftp import SFTP_OK

WAIT_SECONDS = 10


@cache
def rsa_key() -> paramiko.RSAKey:
    """One key of the slow kind for all tests."""
    return paramiko.RSAKey.generate(2048)


class _Session(paramiko.ServerInterface):
    def __init__(self, server: SshServer) -> None:
        self.server = server
        self.environment: dict[str, str] = {}

    def get_allowed_auths(self, username: str) -> str:
        return "publickey,password"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        good = key.asbytes() in self.server.authorized
        self.server.logins.append((username, "publickey", good))
        return paramiko.common.AUTH_SUCCESSFUL if good else paramiko.common.AUTH_FAILED

    def check_auth_password(self, username: str, password: str) -> int:
        good = password == self.server.password
        self.server.logins.append((username, "password", good))
        return paramiko.common.AUTH_SUCCESSFUL if good else paramiko.common.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_direct_tcpip_request(
        self, chanid: int, origin: tuple[str, int], destination: tuple[str, int]
    ) -> int:
        self.server.forwarded.append(destination)
        threading.Thread(target=self.server.forward, args=(chanid, destination)).start()
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_env_request(
        self, channel: paramiko.Channel, name: bytes, value: bytes
    ) -> bool:
        accepted = name.decode() in self.server.accept_env
        if accepted:
            self.environment[name.decode()] = value.decode()
        return accepted

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.server.commands.append(command.decode())
        args = (channel, command.decode(), dict(self.environment))
        threading.Thread(target=self._run, args=args, daemon=True).start()
        return True

    def _run(self, channel: paramiko.Channel, command: str, environment: dict[str, str]) -> None:
        if command == self.server.cut_on:
            channel.get_transport().close()
            return
        stdin = b""
        while chunk := channel.recv(65536):
            stdin += chunk
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            input=stdin,
            capture_output=True,
            check=False,
            cwd=self.server.root,
            env={"PATH": os.environ["PATH"], **environment},
        )
        channel.sendall(done.stdout)
        channel.sendall_stderr(done.stderr)
        channel.send_exit_status(done.returncode)
        channel.close()


class _Files(paramiko.SFTPServerInterface):
    def __init__(self, session: _Session) -> None:
        super().__init__(session)
        self.root = session.server.root

    def _real(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        try:
            return paramiko.SFTPAttributes.from_stat(self._real(path).stat())
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)

    def lstat(self, path: str) -> paramiko.SFTPAttributes | int:
        return self.stat(path)

    def mkdir(self, path: str, attr: paramiko.SFTPAttributes) -> int:
        try:
            self._real(path).mkdir()
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        return SFTP_OK

    def open(
        self, path: str, flags: int, attr: paramiko.SFTPAttributes
    ) -> paramiko.SFTPHandle | int:
        try:
            file = self._real(path).open("wb")
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        handle = paramiko.SFTPHandle(flags)
        handle.writefile = file  # type: ignore[attr-defined]
        return handle


def _pump(receive: Callable[[int], bytes], send: Callable[[bytes], None]) -> None:
    with suppress(OSError):
        while chunk := receive(65536):
            send(chunk)


class SshServer:
    """Listens on a loopback port until closed; what happened is in its lists."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.host_key = paramiko.ECDSAKey.generate()
        self.user_key = rsa_key()
        self.authorized = {self.user_key.asbytes()}
        self.password = "right-password"
        self.accept_env: set[str] = set()
        self.cut_on = "cut the line"
        self.refuse_first = 0
        self.commands: list[str] = []
        self.logins: list[tuple[str, str, bool]] = []
        self.forwarded: list[tuple[str, int]] = []
        self.dials = 0
        self._transports: list[paramiko.Transport] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @property
    def host_key_line(self) -> str:
        return f"{self.host_key.get_name()} {self.host_key.get_base64()} some comment"

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.dials += 1
                if self.dials <= self.refuse_first:
                    connection.close()
                    continue
                self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        transport = paramiko.Transport(connection)
        transport.add_server_key(self.host_key)
        transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Files)
        self._transports.append(transport)
        with suppress(paramiko.SSHException, EOFError):
            transport.start_server(event=threading.Event(), server=_Session(self))

    def forward(self, chanid: int, destination: tuple[str, int]) -> None:
        channel = self._transports[-1].accept(WAIT_SECONDS)
        assert channel is not None
        assert channel.get_id() == chanid
        with socket.create_connection(destination) as target, channel:
            back = threading.Thread(target=_pump, args=(target.recv, channel.sendall))
            back.start()
            _pump(channel.recv, target.sendall)
            target.shutdown(socket.SHUT_RDWR)
            back.join(WAIT_SECONDS)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(WAIT_SECONDS)
        for transport in self._transports:
            transport.close()
            transport.join(WAIT_SECONDS)


@contextmanager
def running(root: Path) -> Iterator[SshServer]:
    """Run a server whose shell and SFTP live in ``root``."""
    server = SshServer(root)
    try:
        yield server
    finally:
        server.close()
