"""A TCP proxy that can lose answers: the request arrives and is served, and whoever sent it never hears of it."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType

CHUNK_BYTES = 65_536


class CuttingProxy:
    """Stands before a port on loopback. `cut(n)` drops the connection at the next n answers; `lost` counts them."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.target_port = 0
        self.lost = 0
        self._to_cut = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> CuttingProxy:
        self._accepting.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # A listener in accept() is woken by shutdown, not by close.
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._accepting.join()
        for each in tuple(self._open):
            _end(each)

    def cut(self, answers: int) -> None:
        """Loses the next answers, however often they are asked for again."""
        with self._lock:
            self._to_cut += answers

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                self._open.add(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            target = socket.create_connection(("127.0.0.1", self.target_port))
        except OSError:
            _end(client)
            return
        self._open.add(target)
        requests = threading.Thread(target=self._pump, args=(client, target, False), daemon=True)
        requests.start()
        self._pump(target, client, True)
        requests.join()
        for each in (client, target):
            self._open.discard(each)
            each.close()

    def _pump(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                if answers and self._is_to_be_lost():
                    break
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _is_to_be_lost(self) -> bool:
        with self._lock:
            lost = self._to_cut > 0
            self._to_cut -= lost
            self.lost += lost
            return lost


def _end(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
