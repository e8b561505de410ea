"""Servers that speak TLS: a certificate for tests, and connections in it, and in it once more.

The certificate is made when it is needed, and lives as long as the tests.
"""

from __future__ import annotations

import datetime as dt
import functools
import ipaddress
import socket
import ssl
import tempfile
import threading
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@functools.cache
def certificate() -> str:
    """Make a certificate for this machine, with its key, and give the path of the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    place = Path(tempfile.mkdtemp()) / "certificate.pem"
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    place.write_bytes(made.public_bytes(serialization.Encoding.PEM) + pem)
    return str(place)


def context() -> ssl.SSLContext:
    """Make what a server needs to speak TLS."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate())
    return made


class Trickling:
    """A server of TLS that answers the first request with a head that never ends, byte by byte.

    As a proxy it grants the tunnel first, and speaks TLS once more in it; then each byte of the inner connection goes
    in a record of its own of the outer one.
    """

    def __init__(self, *, is_proxy: bool = False) -> None:
        self._is_proxy = is_proxy
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"https://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._socket.close()
        self._thread.join(timeout=5)

    def _serve(self) -> None:
        try:
            plain, _ = self._socket.accept()
            with context().wrap_socket(plain, server_side=True) as outer:
                if self._is_proxy:
                    self._tunnel(outer)
                else:
                    self._read_head(outer)
                    outer.sendall(b"HTTP/1.1 200 Slowly\r\nX-Endless: ")
                    self._trickle(outer, b"x" * 1_000)
        except OSError:
            pass

    def _tunnel(self, outer: ssl.SSLSocket) -> None:
        self._read_head(outer)
        outer.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        inner = context().wrap_bio(incoming, outgoing, server_side=True)
        request = b""
        shaken = False
        while b"\r\n\r\n" not in request:
            try:
                if shaken:
                    request += inner.read(65_536)
                else:
                    inner.do_handshake()
                    shaken = True
            except ssl.SSLWantReadError:
                if outgoing.pending:
                    outer.sendall(outgoing.read())
                incoming.write(outer.recv(65_536))
        inner.write(b"HTTP/1.1 200 Slowly\r\nX-Endless: " + b"x" * 10_000)
        self._trickle(outer, outgoing.read())

    def _trickle(self, to: ssl.SSLSocket, data: bytes) -> None:
        for number in range(len(data)):
            if self._over.wait(0.02):
                return
            to.sendall(data[number : number + 1])

    @staticmethod
    def _read_head(of: ssl.SSLSocket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += of.recv(65_536)
