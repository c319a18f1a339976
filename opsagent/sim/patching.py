"""The three patch languages: JSON patch (RFC 6902), merge patch (RFC 7386) and strategic merge.

Strategic merge is as wide as opsagent needs: lists of named things merge by name, other lists are
replaced, ``$patch: delete`` and ``$setElementOrder`` are refused. JSON patch knows add, replace,
remove and test.
"""

import json
from typing import Any, NoReturn

from opsagent.sim.errors import bad_request, unprocessable, unsupported_media_type
from opsagent.sim.values import Obj, clone, copy_of

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"

_MERGED_BY_NAME = frozenset({"containers", "initContainers", "env", "volumes"})


def patched(item: Obj, body: bytes, content_type: str) -> Obj:
    """Return a patched copy of ``item``.

    Raises:
        StatusError: 400 unreadable, 415 unknown language, 422 a JSON patch that does not apply.
    """
    try:
        patch = json.loads(body)
    except ValueError as error:
        raise bad_request(f"error decoding patch: {error}") from error
    language = content_type.partition(";")[0].strip()
    if language == JSON_PATCH:
        return _json_patched(clone(item), patch)
    if not isinstance(patch, dict):
        raise bad_request("the patch must be an object")
    if language == MERGE_PATCH:
        return _merged(item, patch, is_strategic=False)
    if language == STRATEGIC_PATCH:
        return _merged(item, patch, is_strategic=True)
    raise unsupported_media_type(language)


def _merged(old: Obj, patch: Obj, *, is_strategic: bool) -> Obj:
    """Merge maps; null deletes."""
    if is_strategic and any(key.startswith("$") for key in patch):
        raise bad_request("strategic merge directives are not supported")
    found = copy_of(old)
    for key, value in patch.items():
        known: object = found.get(key)
        if value is None:
            found.pop(key, None)
        elif isinstance(value, dict):
            base = known if isinstance(known, dict) else {}
            found[key] = _merged(base, value, is_strategic=is_strategic)
        elif is_strategic and key in _MERGED_BY_NAME and isinstance(value, list):
            found[key] = _merged_by_name(known, value)
        else:
            found[key] = clone(value)
    return found


def _merged_by_name(old: object, patch: list[object]) -> list[Obj]:
    found = {item["name"]: item for item in old} if isinstance(old, list) else {}
    for item in patch:
        if not isinstance(item, dict) or "name" not in item:
            raise bad_request("map: does not contain declared merge key: name")
        base = found.get(item["name"], {})
        found[item["name"]] = _merged(base, item, is_strategic=True)
    return list(found.values())


def _json_patched(item: Obj, operations: object) -> Obj:
    if not isinstance(operations, list):
        raise bad_request("a JSON patch must be a list of operations")
    for operation in operations:
        _apply(item, operation)
    return item


def _refuse(operation: Obj, why: str) -> NoReturn:
    name, path = operation.get("op", "unknown"), operation.get("path", "")
    raise unprocessable(f"{name} operation does not apply: doc is missing path: {path}: {why}")


def _apply(item: Obj, operation: object) -> None:
    """Apply one operation in place."""
    if not isinstance(operation, dict) or not str(operation.get("path", "")).startswith("/"):
        raise bad_request("a JSON patch operation needs op and a path below the root")
    *parents, last = (
        word.replace("~1", "/").replace("~0", "~") for word in operation["path"].split("/")[1:]
    )
    place: Any = item
    for word in parents:
        place = _step(place, word, operation)
    match operation.get("op"):
        case "add" if isinstance(place, list):
            index = len(place) if last == "-" else _index(place, last, operation, extra=1)
            place.insert(index, clone(operation.get("value")))
        case "add" if isinstance(place, dict):
            place[last] = clone(operation.get("value"))
        case "replace":
            _step(place, last, operation)
            place[_key(place, last, operation)] = clone(operation.get("value"))
        case "remove":
            _step(place, last, operation)
            del place[_key(place, last, operation)]
        case "test":
            if _step(place, last, operation) != operation.get("value"):
                raise unprocessable(f"testing value {operation['path']} failed")
        case _:
            _refuse(operation, "unsupported operation")


def _index(place: list[Any], word: str, operation: Obj, extra: int = 0) -> int:
    if not word.isdigit() or int(word) >= len(place) + extra:
        _refuse(operation, f"no index {word}")
    return int(word)


def _key(place: Any, word: str, operation: Obj) -> str | int:  # noqa: ANN401 - any JSON container
    return _index(place, word, operation) if isinstance(place, list) else word


def _step(place: Any, word: str, operation: Obj) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(place, list):
        return place[_index(place, word, operation)]
    if not isinstance(place, dict) or word not in place:
        _refuse(operation, f"no member {word}")
    return place[word]
