"""Who we are to an API server: read from a kubeconfig or from the pod we run in, and kept fresh.

Theory. The official client turns a kubeconfig into a ``Configuration``: server, authority, token, exec
plugin. It looks at its copy of the file for ever, so a token that somebody replaced in the file would
never be seen: :class:`KubeconfigIdentity` looks at the file again each ``period_seconds``, and at once
after the server refused what we have. While the file says the same, its loader is kept, because an exec
plugin's token is cached there until it expires. In a pod the client does all this by itself.

What it refuses: to follow a new authority or client certificate. They are built into the TLS context
once; a new one needs a new start. Importing the official client is late, as in ``kube_transport``.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import yaml

from opsagent.ports import Terminal

if TYPE_CHECKING:  # the real import is late, see kube_transport
    from kubernetes.aio.client.configuration import Configuration


class _Loader(Protocol):
    """What we use of the client's ``KubeConfigLoader``, which is untyped."""

    async def load_and_set(self, configuration: "Configuration") -> None: ...


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a transport needs to know: what reading them again may raise, and how to ask for it."""

    errors: tuple[type[Exception], ...] = ()
    expire: Callable[[], None] = lambda: None


FIXED = Credentials()


class KubeconfigIdentity:
    """The identity of ``context`` in the file ``path``; without a context, of the file's current one.

    The file is only read, never written back.
    """

    def __init__(self, path: Path, context: str | None, period_seconds: float) -> None:
        self._path = path
        self._context = context
        self._period_seconds = period_seconds
        self._content = b""
        self._loader: _Loader | None = None
        self._due = 0.0

    async def load(self, configuration: "Configuration") -> None:
        """Set server, authority and credentials as the file has them now.

        Raises:
            Terminal: no usable credentials; the message names the path and what to do.
        """
        self._due = asyncio.get_running_loop().time() + self._period_seconds
        try:
            content = self._path.read_bytes()
        except OSError as error:
            raise Terminal(
                f"kubeconfig {self._path} cannot be read: {error.strerror}; check kubernetes.kubeconfig or --kubeconfig"
            ) from error
        with _unusable(self._path):
            if self._loader is None or content != self._content:
                self._loader = _loader_of(self._path, content, self._context)
                self._content = content
            await self._loader.load_and_set(configuration)
        if not configuration.host:
            raise Terminal(
                f"kubeconfig {self._path} names no server for its cluster; check the file"
            )

    async def refresh(self, configuration: "Configuration") -> None:
        """Load again if it is time; the client calls this before each request.

        Raises:
            Terminal: as in :meth:`load`; a file in the middle of being replaced is readable a moment later.
        """
        if asyncio.get_running_loop().time() >= self._due:
            await self.load(configuration)

    def expire(self) -> None:
        """Load again before the next request: the server refused what we have."""
        self._due = 0.0


def _loader_of(path: Path, content: bytes, context: str | None) -> _Loader:
    from kubernetes.aio.config.kube_config import KubeConfigLoader  # noqa: PLC0415 - late, see above

    loader_of: Callable[..., _Loader] = KubeConfigLoader  # untyped
    try:
        tree = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Terminal(f"kubeconfig {path} is not YAML; check the file") from error
    if not isinstance(tree, dict):
        raise Terminal(f"kubeconfig {path} is not a mapping; check the file")
    return loader_of(config_dict=tree, active_context=context, config_base_path=str(path.parent))


@contextmanager
def _unusable(path: Path) -> Iterator[None]:
    """Say in one way whatever the loader runs into: it follows what the file holds, whatever the types."""
    from kubernetes.aio.config.config_exception import ConfigException  # noqa: PLC0415 - late

    try:
        yield
    except (ConfigException, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        raise Terminal(f"kubeconfig {path} is not usable: {error}; check the file") from error


def load_incluster(configuration: "Configuration") -> None:
    """Be the service account of the pod we run in; its token is read again each minute.

    Raises:
        Terminal: this is not a pod.
    """
    from kubernetes.aio.config.config_exception import ConfigException  # noqa: PLC0415 - late
    from kubernetes.aio.config.incluster_config import load_incluster_config  # noqa: PLC0415 - late, see above

    load: Callable[..., None] = load_incluster_config  # untyped
    try:
        load(client_configuration=configuration)
    except (ConfigException, OSError) as error:
        raise Terminal(
            f"no kubeconfig is configured and this is not a pod ({error}); set kubernetes.kubeconfig or --kubeconfig"
        ) from error
