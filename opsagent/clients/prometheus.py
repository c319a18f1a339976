"""``ports.MetricsSource`` on a real Prometheus, or on what speaks its API (Thanos, Mimir, VictoriaMetrics).

Theory of operation. Questions go through prometheus-api-client, which is synchronous and returns the
``result`` alone: it loses the warnings that make an answer partial, reads any amount, and by itself waits
for ever and retries. So each of its connections has a session of ours, with a hook that sees every
response before the library does: it reads the body up to a limit, judges the status, keeps the warnings
and hands the library what it read. Connections are used by one thread at a time; the threads are few and
our own, so that a slow server holds up nobody else, nor the end of the process.

What the library cannot ask goes through ``prometheus_rest``.

The token's file is read for every request, because tokens rotate. Nothing is taken from the environment
(a proxy would be handed the token), no redirect is followed, nothing is retried: the caller does that.
"""

import asyncio
import datetime as dt
import io
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeAlias, cast

import msgspec
import requests
from prometheus_api_client.prometheus_connect import PrometheusConnect
from requests.auth import AuthBase
from urllib3 import Retry
from urllib3.exceptions import (
    HTTPError,
    MaxRetryError,
    NewConnectionError,
    TimeoutError as TimedOutError,
)

from opsagent.clients.prometheus_rest import PrometheusRest
from opsagent.clients.prometheus_wire import (
    UNKNOWN_FORM,
    Result,
    answer_from,
    instant_parameters,
    range_parameters,
    warnings_of,
)
from opsagent.clients.rest import SECONDS_MAX, RestReader, read_token, timed_out
from opsagent.model.metrics import MetricAnswer, MetricArguments, MetricsHealth, MetricTemplate
from opsagent.ports import Clock, Terminal, Transient
from opsagent.runtime.threads import ForsakenThreads

BYTES_MAX = 16 * 2**20  # about half a million points
CHUNK_BYTES = 64 * 2**10
THREADS = 4

Results: TypeAlias = list[dict[str, object]]


@dataclass(frozen=True, slots=True)
class _Limits:
    """How long to wait for an answer, and how much of it to read."""

    clock: Clock
    seconds: float
    bytes: int


class _Library(Protocol):
    """What we use of PrometheusConnect, typed."""

    def custom_query(self, query: str, params: Mapping[str, str]) -> Results: ...

    def custom_query_range(
        self,
        query: str,
        start_time: dt.datetime,
        end_time: dt.datetime,
        step: str,
        params: Mapping[str, str],
    ) -> Results: ...


Question: TypeAlias = Callable[[_Library], Results]
_LIBRARY = cast(Callable[..., _Library], PrometheusConnect)  # it declares whole seconds, and Any


class _Bearer(AuthBase):
    """Sends the token that the file holds now."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {read_token(self._path)}"
        return request


class _Connection:
    """The library on a session of ours. One thread at a time; ``warnings`` are those of its last answer."""

    def __init__(
        self, url: str, token_file: Path | None, ca_file: Path | None, limits: _Limits
    ) -> None:
        self.warnings: tuple[str, ...] = ()
        self._limits = limits
        self._deadline = 0.0
        session = requests.Session()
        session.trust_env = False
        session.verify = True if ca_file is None else str(ca_file)
        session.auth = None if token_file is None else _Bearer(token_file)
        session.hooks["response"].append(self._take)
        self._session = session
        retry = Retry(total=0)  # the default sleeps and asks again, up to three times
        self._library = _LIBRARY(url, session=session, timeout=limits.seconds, retry=retry)

    def ask(self, question: Question) -> Results:
        """Ask, and wait for the answer.

        Raises:
            Transient, Terminal: see ``ports.MetricsSource``.
        """
        self._deadline = self._limits.clock.monotonic() + self._limits.seconds
        try:
            return question(self._library)
        except requests.exceptions.SSLError as error:
            raise Terminal(
                "metrics: its certificate is not trusted: see metrics.ca_file"
            ) from error
        except (requests.RequestException, HTTPError) as error:
            raise Transient(f"metrics: {self._reason(error)}") from error
        except (KeyError, TypeError) as error:
            raise Terminal(UNKNOWN_FORM) from error

    def close(self) -> None:
        """Close the session."""
        self._session.close()

    def _reason(self, error: Exception) -> str:
        """Return what went wrong; the library wraps a wait that was too long twice."""
        inner = error.args[0] if error.args else None
        cause = inner.reason if isinstance(inner, MaxRetryError) else inner
        if isinstance(cause, NewConnectionError):  # which urllib3 counts among those that are late
            return type(error).__name__
        is_late = isinstance(error, requests.Timeout) or isinstance(cause, TimedOutError)
        return timed_out(self._limits.seconds) if is_late else type(error).__name__

    def _take(self, response: requests.Response, **_: object) -> None:
        """Read, judge and keep: raises what :func:`warnings_of` does, Terminal if there is too much."""
        with closing(response):  # what was read to its end goes back to the pool all the same
            body = self._read(response)
        self.warnings = warnings_of(response.status_code, body)
        response.raw = io.BytesIO(body)  # the library reads it once more

    def _read(self, response: requests.Response) -> bytes:
        body = bytearray()
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > self._limits.bytes:
                raise Terminal(f"metrics: an answer of more than {self._limits.bytes} bytes")
            if self._limits.clock.monotonic() > self._deadline:
                raise Transient("metrics: the answer takes too long")
        return bytes(body)


class PrometheusSource:
    """One Prometheus. Close it with :meth:`aclose`."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        token_file: Path | None = None,
        ca_file: Path | None = None,
        seconds_max: float = SECONDS_MAX,
        bytes_max: int = BYTES_MAX,
    ) -> None:
        self._url = url.rstrip("/")
        self._seconds_max = seconds_max
        limits = _Limits(clock, seconds_max, bytes_max)
        self._connect = partial(_Connection, self._url, token_file, ca_file, limits)
        self._idle: deque[_Connection] = deque()
        self._is_closed = False
        self._threads = ForsakenThreads(THREADS, "prometheus")
        rest = RestReader(
            "metrics", url, token_file=token_file, ca_file=ca_file, seconds_max=seconds_max
        )
        self._rest = PrometheusRest(rest)

    async def query(
        self, template: MetricTemplate, arguments: MetricArguments, at: dt.datetime
    ) -> MetricAnswer:
        """Return one point a series, at ``at``.

        Raises:
            Transient, Terminal: see ``ports.MetricsSource``.
        """
        asked = instant_parameters(template, arguments, at)
        more = {"time": asked["time"], **self._patience()}
        return await self._ask(lambda library: library.custom_query(asked["query"], more))

    async def query_range(
        self,
        template: MetricTemplate,
        arguments: MetricArguments,
        *,
        start: dt.datetime,
        end: dt.datetime,
        step: dt.timedelta,
    ) -> MetricAnswer:
        """Return a point each ``step`` from ``start`` to ``end``.

        Raises:
            Transient, Terminal: see ``ports.MetricsSource``.
        """
        asked = range_parameters(template, arguments, start=start, end=end, step=step)
        first, last = start.replace(microsecond=0), end.replace(microsecond=0)  # it rounds up
        more = self._patience()
        return await self._ask(
            lambda library: library.custom_query_range(
                asked["query"], first, last, asked["step"], more
            )
        )

    async def health(self) -> MetricsHealth:
        """Return version, firing alerts and failing rules.

        Raises:
            Transient, Terminal: see ``ports.MetricsSource``.
        """
        return await self._rest.health()

    async def aclose(self) -> None:
        """Close connections; a question that is still on its way closes its own."""
        self._is_closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        while self._idle:
            self._idle.pop().close()
        await self._rest.aclose()

    def _patience(self) -> dict[str, str]:
        """Return how long the server may work on it: no longer than anybody waits."""
        return {"timeout": f"{self._seconds_max:g}s"}

    async def _ask(self, question: Question) -> MetricAnswer:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(2 * self._seconds_max):  # until headers, then for the body
                results, warnings = await loop.run_in_executor(
                    self._threads, self._in_thread, question
                )
        except TimeoutError as error:
            raise Transient(f"metrics: {timed_out(2 * self._seconds_max)}") from error
        try:
            return answer_from(msgspec.convert(results, list[Result]), warnings)
        except msgspec.ValidationError as error:
            raise Terminal(UNKNOWN_FORM) from error

    def _in_thread(self, question: Question) -> tuple[Results, tuple[str, ...]]:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            return connection.ask(question), connection.warnings
        finally:
            self._idle.append(connection)
            if self._is_closed:
                connection.close()
