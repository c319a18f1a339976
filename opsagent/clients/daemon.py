"""The running daemon, as the command line speaks to it: REST on loopback, address and token from the state folder.

The file ``daemon.json`` in the state folder holds the address and the bearer token of the daemon that runs
there. Whoever can read it can see what the daemon sees, so a file that others can read is refused.
Approving needs more: the approver's own cluster token, which goes into one request body and nowhere else.

Synchronous, because the command line is. Every refusal says what to do next.
"""

import contextlib
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote

import httpx2
import msgspec

from opsagent.model.canonical import JsonValue
from opsagent.ports import Forbidden, Terminal, Transient

Tree: TypeAlias = Mapping[str, JsonValue]

ADDRESS_FILE = "daemon.json"
TIMEOUT_SECONDS = 30.0  # a decision may ask the API server three times
ADDRESS_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True)
class DaemonAddress:
    """Where a daemon listens (``http://127.0.0.1:8321``) and what it wants to hear."""

    url: str
    token: str = field(repr=False)


class _Trouble(msgspec.Struct):
    code: str
    message: str


class _Failure(msgspec.Struct):
    error: _Trouble


def write_address(state: Path, address: DaemonAddress) -> None:
    """Write the file for the command line, for the owner's eyes, all at once.

    Raises:
        Terminal: the folder cannot be written.
    """
    path = state / ADDRESS_FILE
    draft = state / f".{ADDRESS_FILE}.{os.getpid()}"
    content = json.dumps({"url": address.url, "token": address.token}).encode()
    try:
        draft.unlink(missing_ok=True)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:  # noqa: PTH123 - a descriptor, so that the file is never readable by others
            stream.write(content)
        draft.replace(path)
    except OSError as error:
        raise Terminal(f"cannot write {path}: {error.strerror}") from error


def read_address(state: Path) -> DaemonAddress:
    """Return where the daemon of this state folder listens.

    Raises:
        Terminal: none runs here, or the file is not the owner's alone, or damaged.
    """
    path = state / ADDRESS_FILE
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise Terminal(
            f"no daemon runs on the state folder {state}: start one with 'opsagent run --config FILE' "
            "or 'opsagent demo', or name its folder with --state"
        ) from error
    except OSError as error:
        raise Terminal(
            f"cannot read {path}: {error.strerror}; run this as the daemon's own user"
        ) from error
    with open(descriptor, "rb") as stream:  # noqa: PTH123 - checked and read by one descriptor
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
            raise Terminal(
                f"{path} holds a token, but others can read or own it: 'chmod 600' it as its owner, then restart the daemon"
            )
        content = stream.read(ADDRESS_BYTES_MAX)
    try:
        return msgspec.json.decode(content, type=DaemonAddress)
    except msgspec.DecodeError:
        raise Terminal(f"{path} is damaged: restart the daemon, which writes it anew") from None


class DaemonClient:
    """What a daemon answers, as JSON trees. Use it through :func:`connect`.

    Raises (all methods): Terminal, Transient, Forbidden, TimeoutError, each with what to do.
    """

    def __init__(self, http: httpx2.Client, url: str) -> None:
        self._http = http
        self._url = url

    def status(self) -> Tree:
        """Return what the daemon watches, how fresh it is and what is degraded."""
        return self._ask("GET", "/v1/status")

    def incidents(self, limit: int = 100) -> Sequence[Tree]:
        """Return incidents, newest first."""
        return self._several(f"/v1/incidents?limit={limit}", "incidents")

    def incident(self, incident_id: str) -> Tree:
        """Return one incident with its causes and timeline."""
        return self._ask("GET", f"/v1/incidents/{quote(incident_id, safe='')}")

    def investigation(self, incident_id: str) -> Tree:
        """Return the newest investigation of an incident by a model, its texts whole."""
        return self._ask("GET", f"/v1/incidents/{quote(incident_id, safe='')}/investigation")

    def approvals(self) -> Sequence[Tree]:
        """Return the plans that wait for a person, oldest first."""
        return self._several("/v1/approvals", "approvals")

    def decide(
        self, plan_id: str, *, verdict: str, plan_hash: str, token: str, reason: str = ""
    ) -> Tree:
        """Approve or deny exactly the plan that ``plan_hash`` names, as the owner of ``token``."""
        click = {"verdict": verdict, "plan_hash": plan_hash, "token": token, "reason": reason}
        return self._ask("POST", f"/v1/approvals/{quote(plan_id, safe='')}", click)

    def link(self) -> str:
        """Return the address of a fresh link to the pages; it opens once."""
        return f"{self._url}{self._ask('POST', '/v1/links').get('path')}"

    def _several(self, path: str, key: str) -> Sequence[Tree]:
        items = self._ask("GET", path).get(key)
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise Terminal(f"{self._url}{path} answered without {key}: is it opsagent?")
        return items

    def _ask(self, method: str, path: str, body: Mapping[str, str] | None = None) -> Tree:
        try:
            answer = self._http.request(method, path, json=body)
        except httpx2.ConnectError as error:
            raise Terminal(
                f"nothing answers at {self._url}: the daemon has stopped; start it again"
            ) from error
        except httpx2.TimeoutException as error:
            raise TimeoutError(
                f"the daemon at {self._url} did not answer within {TIMEOUT_SECONDS:.0f} s; see its log"
            ) from error
        except httpx2.TransportError as error:
            raise Transient(
                f"the daemon at {self._url} did not answer ({type(error).__name__}); try again, and see its log"
            ) from error
        if not answer.is_success:
            raise _failed(answer, self._url)
        return self._tree(answer)

    def _tree(self, answer: httpx2.Response) -> Tree:
        try:
            tree = msgspec.json.decode(answer.content)
        except msgspec.DecodeError:
            tree = None
        if not isinstance(tree, dict):
            raise Terminal(f"{self._url} did not answer with a JSON object: is it opsagent?")
        return tree


@contextlib.contextmanager
def connect(state: Path) -> Iterator[DaemonClient]:
    """Yield a client of the daemon that runs on the folder ``state``.

    Raises:
        Terminal: none runs there, or its address file cannot be trusted.
    """
    address = read_address(state)
    with httpx2.Client(
        base_url=address.url,
        headers={"authorization": f"Bearer {address.token}"},
        timeout=TIMEOUT_SECONDS,
        trust_env=False,  # a proxy would be handed the tokens
        follow_redirects=False,
    ) as http:
        yield DaemonClient(http, address.url)


def _failed(answer: httpx2.Response, url: str) -> Exception:
    """Return the exception for an answer that is none; the server's own words are kept."""
    try:
        message = msgspec.json.decode(answer.content, type=_Failure).error.message
    except msgspec.DecodeError:
        message = f"{url} answered HTTP {answer.status_code}"
    match answer.status_code:
        case httpx2.codes.UNAUTHORIZED:
            return Forbidden(
                f"the daemon at {url} does not know this folder's token: is another daemon there?"
            )
        case httpx2.codes.FORBIDDEN:
            return Forbidden(message)
        case httpx2.codes.SERVICE_UNAVAILABLE | httpx2.codes.REQUEST_TIMEOUT:
            return Transient(message)
        case _:
            return Terminal(message)
