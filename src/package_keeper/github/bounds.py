"""Answers that are whole, in bounded time and memory, whatever sends them: for our own sessions and for PyGithub's.

`requests` knows a timeout between two bytes only: an answer of which a byte comes now and then, head or body, would be
waited for for ever. Here every read from the socket of an answer has what is left of the time for the whole of it.
"""

import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

import requests
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from package_keeper.github.governor import MOST_IN_FLIGHT

CONNECT_SECONDS = 10.0
"""Seconds to connect."""
SILENT_SECONDS = 30.0
"""Seconds between two bytes of an answer."""
CHUNK = 64 * 1024


class AnswerTooLarge(requests.RequestException):
    """An answer is larger than it may be; the rest of it was not read."""

    def __init__(self, most: int, status: int) -> None:
        super().__init__(f"the answer is larger than {most >> 20} MB, and was not read to its end")
        self.status = status


class BoundedAdapter(requests.adapters.HTTPAdapter):
    """Sends requests, and reads their answers whole: each in so many `seconds`, connecting included, and `most` bytes.

    `seconds` is asked before each request, with whether it writes, and stands instead of any other timeout.
    """

    def __init__(self, seconds: Callable[[bool], float], most: int) -> None:
        self._seconds = seconds
        self._most = most
        super().__init__(pool_connections=2, pool_maxsize=MOST_IN_FLIGHT + 2)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make what holds the connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Make, or find, what holds the connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send a request, and give its answer with all of its body. Raises `requests.RequestException`."""
        seconds = self._seconds(request.method not in ("GET", "HEAD"))
        if seconds <= 0:
            raise requests.exceptions.ReadTimeout("no time is left")
        bound = urllib3.Timeout(connect=CONNECT_SECONDS, read=seconds, total=seconds)
        response = super().send(request, *args, **options | {"stream": True, "timeout": bound})
        with response:
            response._content = self._body(response)  # noqa: SLF001  # reason: where `requests` keeps what it has read
        return response

    def _body(self, response: requests.Response) -> bytes:
        parts: list[bytes] = []
        taken = 0
        try:
            while part := response.raw.read1(CHUNK, decode_content=True):
                parts.append(part)
                taken += len(part)
                if taken > self._most:
                    raise AnswerTooLarge(self._most, response.status_code)
        except urllib3.exceptions.ReadTimeoutError as error:
            raise requests.exceptions.ReadTimeout(error) from None
        except urllib3.exceptions.DecodeError as error:
            raise requests.exceptions.ContentDecodingError(error) from None
        except urllib3.exceptions.SSLError as error:
            raise requests.exceptions.SSLError(error) from None
        except urllib3.exceptions.HTTPError as error:
            raise requests.exceptions.ChunkedEncodingError(error) from None
        return b"".join(parts)


class _Reader(io.RawIOBase):
    """Reads one answer from a socket, whose timeout at the beginning is the time for all of it."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        self._until = time.monotonic() + (sock.gettimeout() or 0.0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer takes too long")
        self._sock.settimeout(min(left, SILENT_SECONDS))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer, of a server or of a proxy that is asked for a tunnel."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Reader(self.fp.detach(), sock))


class _OuterTls(ssl.SSLSocket):
    """TLS to a proxy with TLS to the server in it, which takes as many reads as it likes for one of its own.

    So what is left of a timeout since it was set is what all of them have.
    """

    def settimeout(self, value: float | None) -> None:
        self._until = float("inf") if value is None else time.monotonic() + value
        super().settimeout(value)

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer takes too long")
        super().settimeout(left)
        return super().recv(buflen, flags)


class _Http(HTTPConnection):
    response_class = _Answer  # type: ignore[mutable-override]  # reason: it is made for that


class _Https(HTTPSConnection):
    response_class = _Answer  # type: ignore[mutable-override]  # reason: it is made for that

    def _connect_tls_proxy(self, hostname: str, sock: socket.socket) -> ssl.SSLSocket:
        outer = super()._connect_tls_proxy(hostname, sock)
        outer.__class__ = _OuterTls
        outer.settimeout(outer.gettimeout())
        return outer


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http  # type: ignore[mutable-override]  # reason: it is made for that


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https  # type: ignore[mutable-override]  # reason: it is made for that


_POOLS = {"http": _HttpPool, "https": _HttpsPool}
