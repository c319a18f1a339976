"""Plain reads of a telemetry server: GET with limits on time and size, a token from a file, nothing else.

The token's file is read for every request, because tokens rotate. Nothing is taken from the environment
(a proxy would be handed the token), no redirect is followed, nothing is retried: the caller does that.
"""

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from opsagent.ports import Terminal, Transient

BODY_BYTES_MAX = 16 * 2**20
SECONDS_MAX = 10.0


def read_token(path: Path) -> str:
    """Return the token in the file.

    Raises:
        Terminal: it cannot be read.
    """
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Terminal(f"cannot read the token file {path}: {error}") from error


def timed_out(seconds: float) -> str:
    """Return what to say of an answer that did not come."""
    return f"timed out after {seconds:g} s"


class RestReader:
    """Reads from one server. ``section`` names it in messages and its keys in the configuration.

    ``headers`` go along with every request.
    """

    def __init__(
        self,
        section: str,
        url: str,
        *,
        token_file: Path | None = None,
        ca_file: Path | None = None,
        seconds_max: float = SECONDS_MAX,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Terminal(f"{section}.url must begin with http:// or https:// and name a host")
        self.section = section
        self._url = url.rstrip("/")
        self._token_file = token_file
        self._seconds_max = seconds_max
        self._headers = dict(headers or {})
        self._client = httpx2.AsyncClient(
            timeout=seconds_max,
            verify=True if ca_file is None else _trusting(section, ca_file),
            trust_env=False,
            follow_redirects=False,
        )

    async def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body of what is at ``path``.

        Raises:
            Transient: no whole answer in time.
            Terminal: there is too much of it, or the token's file cannot be read.
        """
        status, body, is_cut = await self.read(path)
        if is_cut:
            raise Terminal(f"{self.section}: an answer of more than {BODY_BYTES_MAX} bytes")
        return status, body

    async def read(self, path: str) -> tuple[int, bytes, bool]:
        """Return status and body of what is at ``path``, the body up to a limit, and whether there was more of it.

        Raises:
            Transient: no whole answer in time.
            Terminal: the token's file cannot be read.
        """
        headers = dict(self._headers)
        if self._token_file is not None:
            headers["authorization"] = f"Bearer {read_token(self._token_file)}"
        body = bytearray()
        try:
            async with (
                asyncio.timeout(2 * self._seconds_max),  # until headers, then for the body
                self._client.stream("GET", self._url + path, headers=headers) as response,
            ):
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > BODY_BYTES_MAX:
                        return response.status_code, bytes(body[:BODY_BYTES_MAX]), True
        except httpx2.TimeoutException as error:
            raise Transient(f"{self.section}: {timed_out(self._seconds_max)}") from error
        except TimeoutError as error:
            raise Transient(f"{self.section}: {timed_out(2 * self._seconds_max)}") from error
        except (httpx2.HTTPError, OSError) as error:
            raise Transient(f"{self.section}: {type(error).__name__}") from error
        return response.status_code, bytes(body), False

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()


def _trusting(section: str, ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except OSError as error:  # SSLError is an OSError
        raise Terminal(f"{section}.ca_file {ca_file} holds no certificates: {error}") from error
