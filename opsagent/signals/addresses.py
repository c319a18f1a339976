"""Which Services an address can mean: from ``http://payments.shop.svc:8080`` to names. Pure.

Only what redaction lets through as an address comes here; a keyed hash means nothing. Nothing of the value goes
further but the names of Services that it can mean.

Source: Kubernetes, "DNS for Services and Pods": ``<service>.<namespace>.svc.<cluster domain>``, shortened from the
right by the search path, and ``<pod>.`` before it for pods of a headless Service.
"""

import re
from collections.abc import Iterator

from opsagent.model.entity import Kind
from opsagent.model.topology import Vertex

_HOST = re.compile(
    r"(?:[a-z][a-z0-9+.-]{1,15}://)?([a-z0-9.-]{1,253}?)\.?(?::[0-9]{1,5})?(?:/\S*)?"
)
_ORDINAL = re.compile(r".+-[0-9]+")  # of a StatefulSet's pod
_SVC = "svc"


def services(value: str, namespace: str) -> Iterator[Vertex]:
    """Yield the Services that ``value`` can mean to somebody in ``namespace``; most values mean none."""
    found = _HOST.fullmatch(value)
    if found is not None:
        for name, where in _names(found[1].split("."), namespace):
            if where and name and not name.isdecimal():  # a port alone
                yield Vertex(Kind.SERVICE, where, name)


def _names(labels: list[str], namespace: str) -> Iterator[tuple[str, str]]:
    if _SVC in labels[2:]:
        at = labels.index(_SVC, 2)
        yield labels[at - 2], labels[at - 1]
        return
    match labels:
        case [name]:
            yield name, namespace
        case [name, where]:
            yield name, where
            if _ORDINAL.fullmatch(name):
                yield where, namespace
        case [pod, name, where] if _ORDINAL.fullmatch(pod):
            yield name, where
        case _:
            return
