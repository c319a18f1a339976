"""What prometheus-api-client cannot ask: a Prometheus' version, the state of its rules, its firing alerts.

A server that lacks one of these paths (others speak only the query part of the API) is no trouble: the
fact stays empty. The token's file is read for every request, because tokens rotate.
"""

import asyncio
import ssl
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import httpx2
import msgspec

from opsagent.clients.prometheus_wire import UNKNOWN_FORM, warnings_of
from opsagent.model.metrics import MetricsHealth
from opsagent.ports import Terminal, Transient

RULES_NAMED_MAX = 10
BODY_BYTES_MAX = 16 * 2**20

Form = TypeVar("Form", bound=msgspec.Struct)


class _Build(msgspec.Struct):
    version: str = ""


class _Rule(msgspec.Struct):
    name: str = ""
    health: str = "ok"
    type: str = ""
    state: str = ""


class _Group(msgspec.Struct):
    rules: list[_Rule] = []


class _Groups(msgspec.Struct):
    groups: list[_Group] = []


class _BuildBody(msgspec.Struct):
    data: _Build


class _RulesBody(msgspec.Struct):
    data: _Groups


def read_token(path: Path) -> str:
    """Return the token in the file.

    Raises:
        Terminal: it cannot be read.
    """
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Terminal(f"cannot read the token file {path}: {error}") from error


class PrometheusRest:
    """The rest of one Prometheus' API."""

    def __init__(
        self, url: str, *, token_file: Path | None, ca_file: Path | None, seconds_max: float
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Terminal("metrics.url must begin with http:// or https:// and name a host")
        self._url = url
        self._token_file = token_file
        self._seconds_max = seconds_max
        self._client = httpx2.AsyncClient(
            timeout=seconds_max,
            verify=True if ca_file is None else _trusting(ca_file),
            trust_env=False,
            follow_redirects=False,
        )

    async def health(self) -> MetricsHealth:
        """Return what there is to know.

        Raises:
            Transient, Terminal: see ``ports.MetricsSource``.
        """
        build = await self._get("/api/v1/status/buildinfo", _BuildBody)
        rules = await self._get("/api/v1/rules", _RulesBody)
        groups = [] if rules is None else rules.data.groups
        found = [rule for group in groups for rule in group.rules]
        failing = sorted({rule.name for rule in found if rule.health == "err"})
        firing = sum(1 for rule in found if rule.type == "alerting" and rule.state == "firing")
        version = "" if build is None else build.data.version
        return MetricsHealth(version, firing, tuple(failing[:RULES_NAMED_MAX]))

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()

    async def _get(self, path: str, form: type[Form]) -> Form | None:
        """Return what is at ``path``, None if there is no such path."""
        status, body = await self._read(path)
        if status == httpx2.codes.NOT_FOUND:
            return None
        warnings_of(status, body)
        try:
            return msgspec.json.decode(body, type=form)
        except msgspec.DecodeError as error:
            raise Terminal(UNKNOWN_FORM) from error

    async def _read(self, path: str) -> tuple[int, bytes]:
        headers = {}
        if self._token_file is not None:
            headers["authorization"] = f"Bearer {read_token(self._token_file)}"
        body = bytearray()
        try:
            async with (
                asyncio.timeout(2 * self._seconds_max),
                self._client.stream("GET", self._url + path, headers=headers) as response,
            ):
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > BODY_BYTES_MAX:
                        raise Terminal(f"prometheus: an answer of more than {BODY_BYTES_MAX} bytes")
        except (httpx2.HTTPError, OSError) as error:  # TimeoutError is an OSError
            raise Transient(f"prometheus: {type(error).__name__}") from error
        return response.status_code, bytes(body)


def _trusting(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except OSError as error:  # SSLError is an OSError
        raise Terminal(f"metrics.ca_file {ca_file} holds no certificates: {error}") from error
