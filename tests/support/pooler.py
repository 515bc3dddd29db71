"""PgBouncer as who comes in meets it: it knows a few startup parameters, `options` not among them.

What it does with that one is `ignore_startup_parameters`: it refuses it, or leaves it out.
"""

from __future__ import annotations

import socket
import struct

from tests.support.tunnel import Tunnel

ENCRYPTION_REQUEST_BYTES = 8
SAID = b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0"


class Pooler(Tunnel):
    """Hands every session on to the server at `port`."""

    def __init__(self, port: int, *, leaves_out: bool) -> None:
        self._leaves_out = leaves_out
        super().__init__(port)

    def _greet(self, near: socket.socket, far: socket.socket) -> bool:
        while len(said := _message(near)) == ENCRYPTION_REQUEST_BYTES - 4:
            near.sendall(b"N")
        if not self._leaves_out:
            near.sendall(b"E" + struct.pack("!I", len(SAID) + 4) + SAID)
            near.recv(1)  # its end: who closes first may be heard before what he said
            return False
        version, words = said[:4], said[4:].rstrip(b"\0").split(b"\0")
        pairs = zip(words[::2], words[1::2], strict=True)
        known = [b"%s\0%s\0" % pair for pair in pairs if pair[0] != b"options"]
        body = version + b"".join(known) + b"\0"
        far.sendall(struct.pack("!I", len(body) + 4) + body)
        return True


def _message(near: socket.socket) -> bytes:
    (length,) = struct.unpack("!I", near.recv(4, socket.MSG_WAITALL))
    return near.recv(length - 4, socket.MSG_WAITALL)
