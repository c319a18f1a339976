"""Lists in pages. All pages of one list show the state at the first page's version, as in life."""

import base64
import json
from dataclasses import dataclass

from opsagent.sim.errors import StatusError, bad_request, expired
from opsagent.sim.selection import Selection
from opsagent.sim.store import ObjectStore
from opsagent.sim.values import Obj


@dataclass(frozen=True, slots=True)
class _Position:
    """Where a list goes on: the version that it shows and the last key that was given."""

    version: int
    after: tuple[str, str]

    def token(self) -> str:
        text = json.dumps({"v": "meta.k8s.io/v1", "rv": self.version, "start": self.after})
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _position(token: str) -> _Position:
    try:
        found = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, name = found["start"]
        return _Position(int(found["rv"]), (str(namespace), str(name)))
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request(f"continue key is not valid: {error}") from error


def _key(item: Obj) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def list_page(store: ObjectStore, wanted: Selection, limit: int, token: str) -> Obj:
    """Return one page as a List object; ``limit`` 0 means all.

    Raises:
        StatusError: 400 a broken token, 410 a token whose version is no longer known.
    """
    start = _position(token) if token else _Position(store.version, ("", ""))
    try:
        items = store.list_at(wanted.resource, start.version)
    except StatusError as error:
        message = "The provided continue parameter is too old to display a consistent list result."
        raise expired(message) from error
    rest = [item for item in items if _key(item) > start.after and wanted.matches(item)]
    page = rest[:limit] if limit else rest
    meta: Obj = {"resourceVersion": str(start.version)}
    if len(page) < len(rest):
        meta["continue"] = _Position(start.version, _key(page[-1])).token()
        if not wanted.is_filtered:
            meta["remainingItemCount"] = len(rest) - len(page)
    return {
        "kind": f"{wanted.resource.kind}List",
        "apiVersion": wanted.resource.api_version,
        "metadata": meta,
        "items": [_bare(item) for item in page],
    }


def _bare(item: Obj) -> Obj:
    """Leave out what the items of a real list lack."""
    return {key: value for key, value in item.items() if key not in {"kind", "apiVersion"}}
