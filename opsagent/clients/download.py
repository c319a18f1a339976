"""Large answers of a telemetry server, read as cheaply as Python can: one blocking connection for one thread.

Bodies of tens of megabytes cost an asynchronous client ten times the processor time of the system's own calls,
because each of their small pieces passes through the loop. So this speaks HTTP from a thread, with the standard
library, and whoever waits for it on the loop holds the clock: :meth:`Download.abort` ends what takes too long.

The token's file is read for every request, because tokens rotate. Nothing is taken from the environment (a proxy
would be handed the token), no redirect is followed. A question that dies on a connection that was kept is put once
more on a new one, since the server may have closed it meanwhile; nothing else is retried: the caller does that.
"""

import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

from opsagent.clients.rest import read_token, timed_out
from opsagent.ports import Terminal, Transient

CHUNK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server is and what it wants. ``section`` names it in messages and its keys in the configuration."""

    section: str
    url: str
    token_file: Path | None = None
    ca_file: Path | None = None


class Download:
    """One server. All methods but :meth:`abort` belong to one thread at a time."""

    def __init__(self, place: Place, *, seconds_max: float, bytes_max: int) -> None:
        self._place = place
        self._seconds_max = seconds_max
        self._bytes_max = bytes_max
        self._connect = _connecting(place, seconds_max)
        self._path = urlsplit(place.url).path.rstrip("/")
        self._kept: HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._is_aborted = False

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytearray]:
        """Return status and body. Each wait for the network may take as long as the limit.

        Raises:
            Transient: no whole answer.
            Terminal: there is too much of it, the certificate is not trusted, or the token cannot be read.
        """
        sent = dict(headers or {})
        if self._place.token_file is not None:
            sent["authorization"] = f"Bearer {read_token(self._place.token_file)}"
        self._is_aborted = False
        send = partial(self._send, method=method, path=self._path + path, body=body, headers=sent)
        section = self._place.section
        try:
            return self._answered(send)
        except ssl.SSLCertVerificationError as error:
            words = f"{section}: its certificate is not trusted: see {section}.ca_file"
            raise Terminal(words) from error
        except TimeoutError as error:
            raise Transient(f"{section}: {timed_out(self._seconds_max)}") from error
        except (HTTPException, OSError) as error:
            raise Transient(f"{section}: {type(error).__name__}") from error

    def abort(self) -> None:
        """Let what waits for the network fail now; from any thread."""
        self._is_aborted = True
        opened = self._socket
        if opened is not None:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self._socket = None
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _answered(self, send: Callable[[HTTPConnection], HTTPResponse]) -> tuple[int, bytearray]:
        was_kept = self._kept is not None
        connection = self._kept or self._connect()
        self._kept = None
        try:
            with send(connection) as response:
                whole = self._whole(response)
        except ConnectionError:
            connection.close()
            if not was_kept or self._is_aborted:
                raise
            return self._answered(send)
        except BaseException:
            connection.close()
            raise
        if not response.will_close:
            self._kept = connection
        return response.status, whole

    def _send(
        self,
        connection: HTTPConnection,
        *,
        method: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
    ) -> HTTPResponse:
        if connection.sock is None:
            connection.connect()
        self._socket = connection.sock
        connection.request(method, path, body or None, headers)
        return connection.getresponse()

    def _whole(self, response: HTTPResponse) -> bytearray:
        body = bytearray()
        while chunk := response.read1(CHUNK_BYTES):
            body += chunk
            if len(body) > self._bytes_max:
                words = f"{self._place.section}: an answer of more than {self._bytes_max} bytes"
                raise Terminal(words)
        if response.length:
            raise HTTPException("the answer ends too early")
        return body


def _connecting(place: Place, seconds_max: float) -> Callable[[], HTTPConnection]:
    """Return what makes connections to ``place``.

    Raises:
        Terminal: the address is none, or there are no certificates in the file.
    """
    try:
        parts = urlsplit(place.url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    if not host or parts.scheme not in ("http", "https"):
        words = f"{place.section}.url must begin with http:// or https:// and name a host"
        raise Terminal(words)
    if parts.scheme == "http":
        return partial(HTTPConnection, host, port, timeout=seconds_max)
    try:
        context = ssl.create_default_context(cafile=place.ca_file)
    except OSError as error:  # SSLError is an OSError
        words = f"{place.section}.ca_file {place.ca_file} holds no certificates: {error}"
        raise Terminal(words) from error
    return partial(HTTPSConnection, host, port, timeout=seconds_max, context=context)
