"""etcd by its own JSON gateway: the truth behind the API server, and how to make it forget.

Needs an API server that stores JSON (``--storage-media-type application/json``).
"""

import base64
import http.client
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.lab.cluster import Cluster
from tests.lab.programs import command_line

ROOT = b"/registry/"
END = b"/registry0"  # the first key behind all that begin with ROOT


@dataclass(frozen=True, slots=True)
class Write:
    """One write: the key below ROOT, etcd's revision, and the object; None if the key was deleted."""

    key: str
    revision: int
    value: dict[str, Any] | None


def url_of(cluster: Cluster) -> str:
    """Return where the cluster's etcd listens."""
    flag = "--listen-client-urls="
    (url,) = (
        each.removeprefix(flag)
        for each in command_line(cluster.process("etcd"))
        if each.startswith(flag)
    )
    return url


def compact(url: str) -> int:
    """Forget every state but the present one; return the present revision."""
    revision = int(_ask(url, "/v3/maintenance/status", {})["header"]["revision"])
    _ask(url, "/v3/kv/compaction", {"revision": str(revision), "physical": True})
    return revision


def _ask(url: str, path: str, body: object) -> Any:
    request = urllib.request.Request(url + path, json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def writes(url: str, revision: int) -> Iterator[Write]:
    """Yield every write from ``revision`` on, oldest first, until the connection breaks.

    Raises:
        OSError, http.client.HTTPException: the connection broke.
        LookupError: history was thrown away before it was read.
    """
    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    key, end = base64.b64encode(ROOT).decode(), base64.b64encode(END).decode()
    wanted = {"key": key, "range_end": end, "start_revision": str(revision)}
    try:
        connection.request("POST", "/v3/watch", json.dumps({"create_request": wanted}))
        answer = connection.getresponse()
        while line := answer.readline():
            result = json.loads(line)["result"]
            if "compact_revision" in result:
                raise LookupError(f"etcd forgot what came before {result['compact_revision']}")
            yield from map(_write, result.get("events", ()))
    finally:
        connection.close()


def _write(event: dict[str, Any]) -> Write:
    pair = event["kv"]
    is_deleted = event.get("type") == "DELETE"
    return Write(
        base64.b64decode(pair["key"]).removeprefix(ROOT).decode(),
        int(pair["mod_revision"]),
        None if is_deleted else _decoded(base64.b64decode(pair["value"])),
    )


def _decoded(value: bytes) -> dict[str, Any]:
    """Return the object; of what is no JSON (the control plane's own numbers) an empty one."""
    try:
        found = json.loads(value)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
