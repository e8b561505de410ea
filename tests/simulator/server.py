"""HTTP/1.1 with keep-alive, one thread a connection, a parser of its own because the library's is slow."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from .wire import Answer, Headers, override

if TYPE_CHECKING:
    from .simulator import Simulator

REASONS = {
    200: "OK",
    201: "Created",
    202: "Accepted",
    204: "No Content",
    301: "Moved Permanently",
    302: "Found",
    304: "Not Modified",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}
LINE = 65_536
TLS_HANDSHAKE = b"\x16"
"""The first byte of what a client sends that tries HTTPS first; it would wait for an answer, as we for a line."""
LINGER_NO_TIME = struct.pack("ii", 1, 0)
"""With this option a connection that is closed is reset."""
EVERYWHERE = "0.0.0.0"  # noqa: S104 - told apart, not chosen


class Handler(BaseHTTPRequestHandler):
    """Reads requests off one connection, one after the other."""

    disable_nagle_algorithm = True
    rbufsize = LINE
    server: Server  # type: ignore[mutable-override]

    @override
    def handle_one_request(self) -> None:
        """Read one request and answer it."""
        self.close_connection = True
        try:
            first = self.rfile.read(1)
            if first == TLS_HANDSHAKE:
                return
            line = first + self.rfile.readline(LINE)
            parts = line.decode("latin-1").split()
            if len(parts) != 3:
                return
            method, target, protocol = parts
            headers = self._read_headers()
            if headers.get("expect", "").lower() == "100-continue":
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = self._read_body(headers)
            if body is None:
                return
            self.close_connection = protocol == "HTTP/1.0" or headers.get("connection", "").lower() == "close"
            self._answer(method, target, headers, body)
        except (ConnectionError, TimeoutError, ValueError):
            self.close_connection = True

    def _read_headers(self) -> Headers:
        headers = Headers()
        while True:
            line = self.rfile.readline(LINE)
            if line in (b"\r\n", b"\n", b""):
                return headers
            name, _, value = line.decode("latin-1").partition(":")
            key, value = name.strip().lower(), value.strip()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value

    def _read_body(self, headers: Headers) -> bytes | None:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            length = int(headers.get("content-length", "0"))
            body = self.rfile.read(length) if length else b""
            return body if len(body) == length else None
        chunks = []
        while size := int(self.rfile.readline(LINE).partition(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline(LINE)
        self._read_headers()
        return b"".join(chunks)

    def _answer(self, method: str, target: str, headers: Headers, body: bytes) -> None:
        simulator = self.server.simulator
        request = simulator.received(method, target, headers, body)
        answer = simulator.respond(request)
        if answer.cut in ("close", "reset"):
            self._abort(reset=answer.cut == "reset")
            return
        data = _encoded(answer, simulator.clock.real_epoch(simulator.clock.elapsed()), with_body=method != "HEAD")
        if answer.cut == "truncate":
            self.wfile.write(data[: len(data) - (len(answer.body) + 1) // 2])
            self._abort()
            return
        if answer.cut == "stall":
            self.wfile.write(data[: len(data) // 2])
            # nothing more comes until the client gives up
            self.rfile.read(1)
            self._abort()
            return
        self.wfile.write(data)

    def _abort(self, *, reset: bool = False) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            if reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NO_TIME)
                self.connection.close()
            else:
                self.connection.shutdown(socket.SHUT_RDWR)


def _encoded(answer: Answer, moment: float, with_body: bool) -> bytes:
    lines = [
        f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Unknown')}",
        f"date: {formatdate(moment, usegmt=True)}",
        "server: github.com",
    ]
    if answer.status not in (204, 304):
        lines.append(f"content-length: {len(answer.body)}")
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    return head + answer.body if with_body and answer.status not in (204, 304) else head


class Server(ThreadingHTTPServer):
    """The listening socket and the connections that came from it."""

    request_queue_size = 1024
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], simulator: Simulator) -> None:
        super().__init__(address, Handler)
        self.simulator = simulator
        host = "127.0.0.1" if address[0] == EVERYWHERE else address[0]
        self.address = f"{host}:{self.server_address[1]}"
        self.url = f"http://{self.address}"
        self._connections: set[Any] = set()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Serve in a thread."""
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True, name="simulator")
        self._thread.start()

    def refuse(self) -> None:
        """Stop listening, keep the port, and close every connection."""
        self.stop()
        self.socket = socket.socket(self.address_family, self.socket_type)
        self.server_bind()

    def accept(self) -> None:
        """Listen again on the port that was kept, unless it is served."""
        if self._thread is None:
            self.server_activate()
            self.start()

    def stop(self) -> None:
        """Stop listening and close every connection."""
        if self._thread is not None:
            self.shutdown()
            self._thread.join()
            self._thread = None
        self.server_close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        """Note the connection and serve it in a thread of its own."""
        self._connections.add(request)
        super().process_request(request, client_address)

    @override
    def shutdown_request(self, request: Any) -> None:
        """Forget the connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet: clients that go away are no news, and mistakes are in ``Simulator.errors``."""
