"""Label and field selectors, in the API's own string form."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from opsagent.sim.errors import bad_request
from opsagent.sim.resources import Resource
from opsagent.sim.values import Obj

_Test: TypeAlias = Callable[[Mapping[str, str]], bool]

_TERM = re.compile(r"(?:[^,(]|\([^)]*\))+")
_SET = re.compile(r"(\S+)\s+(in|notin)\s+\(([^)]*)\)")
_EQUAL = re.compile(r"([^=!\s]+)\s*(==|=|!=)\s*([^=!\s]*)")
_EXISTS = re.compile(r"(!?)\s*([^=!\s]+)")

_COMMON_FIELDS = frozenset({"metadata.name", "metadata.namespace"})
_FIELDS = {
    "Pod": frozenset({"spec.nodeName", "status.phase", "status.podIP", "spec.restartPolicy"}),
    "Event": frozenset(
        {"reason", "type", "reportingComponent"}
        | {f"involvedObject.{field}" for field in ("kind", "namespace", "name", "uid")}
    ),
    "Node": frozenset({"spec.unschedulable"}),
    "Namespace": frozenset({"status.phase"}),
}


def _label_test(term: str) -> _Test:
    if found := _SET.fullmatch(term):
        key, operator, words = found.groups()
        values = {word.strip() for word in words.split(",")}
        if operator == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found := _EQUAL.fullmatch(term):
        key, operator, value = found.groups()
        if operator == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if found := _EXISTS.fullmatch(term):
        key, is_absent = found[2], bool(found[1])
        return lambda labels: (key in labels) != is_absent
    raise bad_request(f"unable to parse requirement: {term!r}")


def _field(item: Obj, path: str) -> str:
    value: object = item
    for word in path.split("."):
        value = value.get(word, "") if isinstance(value, dict) else ""
    return "true" if value is True else "false" if value is False else str(value)


def _field_test(resource: Resource, term: str) -> Callable[[Obj], bool]:
    found = _EQUAL.fullmatch(term)
    if found is None:
        raise bad_request(f"invalid field selector: {term!r}")
    path, operator, value = found.groups()
    if path not in _COMMON_FIELDS | _FIELDS.get(resource.kind, frozenset()):
        raise bad_request(f'field label not supported for "{resource.kind}": {path}')
    return lambda item: (_field(item, path) == value) == (operator != "!=")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of one resource a list or watch is about."""

    resource: Resource
    namespace: str = ""
    label_tests: tuple[_Test, ...] = ()
    field_tests: tuple[Callable[[Obj], bool], ...] = ()

    @property
    def is_filtered(self) -> bool:
        """Whether a selector narrows it beyond the namespace."""
        return bool(self.label_tests or self.field_tests)

    def matches(self, item: Obj) -> bool:
        """Return whether ``item``, an object of the resource, is meant."""
        meta = item["metadata"]
        if self.namespace and meta.get("namespace") != self.namespace:
            return False
        labels = meta.get("labels", {})
        return all(test(labels) for test in self.label_tests) and all(
            test(item) for test in self.field_tests
        )


def selection(resource: Resource, namespace: str, query: Mapping[str, str]) -> Selection:
    """Read the selectors of a request.

    Raises:
        StatusError: 400, a selector cannot be read or names an unsupported field.
    """
    label_terms = _TERM.findall(query.get("labelSelector", ""))
    field_terms = _TERM.findall(query.get("fieldSelector", ""))
    return Selection(
        resource,
        namespace,
        tuple(_label_test(term.strip()) for term in label_terms),
        tuple(_field_test(resource, term.strip()) for term in field_terms),
    )
