"""The one road to a real API server: bytes out, bytes in, with the official client's authentication.

Theory. ``kubernetes.aio`` brings kubeconfig, TLS, exec plugins, in-cluster tokens and their rotation;
we use its ``ApiClient`` for exactly that and decode answers ourselves (``kube_wire``). Its generated
API classes are never touched: one instance costs about 100 MiB. Three of its habits are handled here:

* ``rest.request`` re-encodes the body with ``json.dumps``, so it must be given values, not bytes: a
  JSON body is decoded first. What the server receives is the same JSON value, not the same bytes.
* ``rest.request`` turns a JSON patch whose body is no list into a strategic merge patch, another
  operation altogether. Such a body is refused here, before it is sent.
* a token is refreshed by a hook only in a pod; with a kubeconfig we hang in our own
  (``kube_credentials``).

Importing the client takes about a second of CPU and 50 MiB, so it happens in :func:`connect`, not
when this module is imported. Neither method judges an HTTP status: callers do (``kube_status``).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import msgspec

import opsagent
from opsagent.clients.kube_credentials import (
    FIXED,
    Credentials,
    KubeconfigIdentity,
    load_incluster,
)
from opsagent.ports import KubeAnswer, Terminal, Transient

if TYPE_CHECKING:  # the real import is late, see above
    from kubernetes.aio.client.api_client import ApiClient

REQUEST_SECONDS = 30.0
CONNECT_SECONDS = 10.0
IDLE_SECONDS = 90.0  # a watch with bookmarks hears from the server about once a minute
ANSWER_BYTES_MAX = 256 * 1024 * 1024  # a page of 500 ordinary objects is 3 MiB
# Half of what asyncio takes off a socket at once. While aiohttp holds less than this, each HTTP chunk that it hands
# out, hence each watch event, costs a call down to the socket for more. The client's 2 MiB are for who reads lines.
READ_BYTES = 128 * 1024
CREDENTIAL_SECONDS = (
    60.0  # how often credentials are read again; the in-cluster loader does the same
)
JSON_PATCH = "application/json-patch+json"
_TROUBLE = (aiohttp.ClientError, OSError, TimeoutError)  # ssl.SSLError is an OSError


class ApiTransport:
    """``ports.KubeTransport`` to the API server at ``host`` over an authenticated ``ApiClient``.

    ``host`` is for messages only. Time-outs: a request ``request_seconds`` in all; a stream 10 s to
    connect, then ``idle_seconds`` between two chunks. An answer above ``answer_bytes_max`` is cut off.
    ``credentials``: how to have them read again, and what may be raised then.
    """

    def __init__(
        self,
        api: "ApiClient",
        host: str,
        *,
        credentials: Credentials = FIXED,
        request_seconds: float = REQUEST_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
    ) -> None:
        self.api = api
        self._host = host
        self._request_timeout = aiohttp.ClientTimeout(
            total=request_seconds, sock_connect=CONNECT_SECONDS
        )
        self._stream_timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_SECONDS, sock_read=idle_seconds
        )
        self._answer_bytes_max = answer_bytes_max
        self._credentials = credentials
        self._trouble: tuple[type[Exception], ...] = (*_TROUBLE, *credentials.errors)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> KubeAnswer:
        """Send one request and read the whole answer.

        Raises:
            Transient: no answer, or not a whole one, within the time limit.
            ValueError: ``body`` is not JSON, or a JSON patch that is no list.
        """
        json_value = _json_value(body, content_type)
        with self._trouble_is_transient():
            response = await self._send(
                method, path, query, json_value, content_type, self._request_timeout
            )
            try:
                answer = await _read_all(response.content, self._answer_bytes_max)
            finally:
                response.close()  # a response read to its end has already gone back to the pool
        headers = {name.lower(): value for name, value in response.headers.items()}
        return KubeAnswer(response.status, answer, headers)

    def stream(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        idle_seconds: float | None = None,
    ) -> AbstractAsyncContextManager[tuple[int, AsyncIterator[bytes]]]:
        """GET and yield (status, chunks as they arrive). Leaving the block closes the connection.

        Raises (also while chunks are read):
            Transient: connection trouble, or ``idle_seconds`` of silence, 90 if there are none given.
        """
        timeout = self._stream_timeout
        if idle_seconds is not None:
            timeout = aiohttp.ClientTimeout(
                total=None, sock_connect=CONNECT_SECONDS, sock_read=idle_seconds
            )
        return self._stream(path, query, timeout)

    @asynccontextmanager
    async def _stream(
        self,
        path: str,
        query: Mapping[str, str] | None,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own, handed through
    ) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        with self._trouble_is_transient():
            response = await self._send("GET", path, query, None, "application/json", timeout)
        try:
            yield response.status, self._chunks(response.content)
        finally:
            response.close()

    async def aclose(self) -> None:
        """Close connections."""
        close: Callable[[], Awaitable[None]] = self.api.close  # untyped
        await close()

    async def _chunks(self, content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
        # Chunks, never lines: the reader's line iteration fails on a line above its buffer limit.
        with self._trouble_is_transient():
            async for chunk in content.iter_any():
                yield chunk

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        value: object,
        content_type: str,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own, handed through
    ) -> aiohttp.ClientResponse:
        request = await self.api.param_serialize(
            method=method,
            resource_path=path,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json", "Content-Type": content_type},
            body=value,
            auth_settings=["BearerToken"],
        )
        answer = await self.api.call_api(*request, _request_timeout=timeout)
        response: aiohttp.ClientResponse = answer.response
        if response.status == 401:  # noqa: PLR2004 - HTTP
            self._credentials.expire()
        return response

    @contextmanager
    def _trouble_is_transient(self) -> Iterator[None]:
        try:
            yield
        except self._trouble as error:
            cause = f"{type(error).__name__}: {error}".rstrip(": ")
            raise Transient(f"API server {self._host}: {cause}") from error


def _json_value(body: bytes | None, content_type: str) -> object:
    if body is None:
        return None
    value: object = msgspec.json.decode(body)
    if content_type == JSON_PATCH and not isinstance(value, list):
        raise ValueError("a JSON patch is a list of operations")
    return value


async def _read_all(content: aiohttp.StreamReader, bytes_max: int) -> bytes:
    chunks = []
    size = 0
    async for chunk in content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > bytes_max:
            raise aiohttp.ClientPayloadError(f"answer larger than {bytes_max} bytes")
    return b"".join(chunks)


async def connect(
    kubeconfig: Path | None = None,
    context: str | None = None,
    *,
    credential_seconds: float = CREDENTIAL_SECONDS,
) -> ApiTransport:
    """Return a transport as the identity of ``context`` in the file ``kubeconfig``.

    Without a file: as the service account of the pod we run in. Without a context: the file's
    current one. The file is only read, never written back. Does not speak to the server yet.
    Credentials are read again when ``credential_seconds`` have passed or the server refuses them.

    Raises:
        Terminal: no usable credentials; the message names the path and what to do.
    """
    # Late: this import takes a second of CPU and 50 MiB, and `opsagent demo` never needs it.
    from kubernetes.aio.client.api_client import ApiClient  # noqa: PLC0415 - see above
    from kubernetes.aio.client.configuration import Configuration  # noqa: PLC0415 - see above
    from kubernetes.aio.config.config_exception import ConfigException  # noqa: PLC0415 - see above

    # No bound of the pool's own: each followed log holds a connection, and what is above its default of
    # 100 would wait in silence, watches and Lease with it. Who opens connections bounds them.
    configuration = Configuration(
        host="", connection_pool_maxsize=0, client_session_kwargs={"read_bufsize": READ_BYTES}
    )
    # A file in the middle of its rotation is readable a moment later.
    errors = (ConfigException, Terminal)
    if kubeconfig is None:
        load_incluster(configuration)
        credentials = Credentials(errors)
    else:
        identity = KubeconfigIdentity(kubeconfig, context, credential_seconds)
        await identity.load(configuration)
        configuration.refresh_api_key_hook = identity.refresh  # type: ignore[assignment] # declared as plain None
        credentials = Credentials(errors, identity.expire)
    try:
        api = ApiClient(configuration=configuration)
    except (OSError, ValueError) as error:
        where = kubeconfig or "the pod's service account"
        raise Terminal(f"TLS material of {where} is not usable: {error}") from error
    api.user_agent = f"opsagent/{opsagent.__version__}"
    return ApiTransport(api, configuration.host, credentials=credentials)
