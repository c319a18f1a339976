"""Whether an object has the JSON types that the rest of the sim takes for granted. Pure.

A real server decodes into typed fields and refuses what does not fit; this looks at the fields that
are used here. Null counts as a wrong type, though a real server takes it for absent.
"""

from collections.abc import Iterator

from opsagent.sim.values import Obj

_OBJECTS = (
    "metadata",
    "metadata.labels",
    "metadata.annotations",
    "spec",
    "spec.selector",
    "spec.selector.matchLabels",
    "spec.strategy",
    "spec.strategy.rollingUpdate",
    "spec.template",
    "spec.template.metadata",
    "spec.template.metadata.labels",
    "spec.template.spec",
)
_POD_SPECS = ("spec", "spec.template.spec")
_CONTAINER_OBJECTS = ("resources", "resources.requests", "resources.limits", "readinessProbe")
_ABSENT = object()


def _at(item: object, path: str) -> object:
    """Return what is at a dotted path, ``_ABSENT`` if nothing can be there."""
    for word in path.split("."):
        item = item.get(word, _ABSENT) if isinstance(item, dict) else _ABSENT
    return item


def _wrong(item: Obj) -> Iterator[str]:
    for path in _OBJECTS:
        found = _at(item, path)
        if found is not _ABSENT and not isinstance(found, dict):
            yield path
    for path in _POD_SPECS:
        containers = _at(item, f"{path}.containers")
        if containers is _ABSENT:
            continue
        if not isinstance(containers, list) or not all(isinstance(one, dict) for one in containers):
            yield f"{path}.containers"
            continue
        for container in containers:
            for part in _CONTAINER_OBJECTS:
                found = _at(container, part)
                if found is not _ABSENT and not isinstance(found, dict):
                    yield f"{path}.containers.{part}"


def misshapen(item: Obj) -> str:
    """Return the path of the first field of a wrong type, empty if all are well."""
    return next(_wrong(item), "")
