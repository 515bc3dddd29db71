"""A tunnel that can be cut: a TCP forwarder on a free loopback port, as OpenSSH's would be."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

CHUNK = 64 * 1024


class Tunnel:
    """Forwards to `port` while it is whole; its own `port` stays the same through every cut."""

    def __init__(self, port: int) -> None:
        self.to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._whole, self._flows = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.mend()
        threading.Thread(target=self._listen, daemon=True).start()

    def cut(self) -> None:
        """End every connection, and accept none: the tunnel's container is down."""
        self._whole.clear()
        self._flows.set()
        self._end_all()

    def freeze(self) -> None:
        """Pass on nothing more, without a word to either side: the network is gone."""
        self._flows.clear()

    def mend(self) -> None:
        """Forward again. What froze for long has been given up, as by OpenSSH's keep-alives."""
        if not self._flows.is_set():
            self._end_all()
        self._flows.set()
        self._whole.set()

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _listen(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if not self._whole.is_set():
                near.close()
                continue
            with self._lock:
                self._open.add(near)
            threading.Thread(target=self._forward, args=(near,), daemon=True).start()

    def _forward(self, near: socket.socket) -> None:
        """Connect on the far side, which hears of nobody while the tunnel is frozen."""
        self._flows.wait()
        try:
            far = socket.create_connection(("127.0.0.1", self.to), timeout=5)
        except OSError:
            self._end({near})
            return
        far.settimeout(None)
        with self._lock:
            self._open.add(far)
        if not self._greet(near, far):
            self._end({near, far})
            return
        threading.Thread(target=self._pump, args=(near, far), daemon=True).start()
        self._pump(far, near)

    def _greet(self, near: socket.socket, far: socket.socket) -> bool:
        """Tell whether bytes are passed on; an heir may speak before."""
        return True

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(CHUNK):
                self._flows.wait()
                other.sendall(data)
        self._end({one, other})

    def _end_all(self) -> None:
        with self._lock:
            everything = set(self._open)
        self._end(everything)

    def _end(self, these: set[socket.socket]) -> None:
        with self._lock:
            self._open -= these
        for one in these:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
